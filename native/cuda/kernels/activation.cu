#include "activation_parameters.h"
#include "flat.h"
#include "vector.h"

namespace sdxl::cuda {

namespace {

template <class T, int kVector, float (*kFunction)(float)>
__device__ __forceinline__ void activate(const ActivationParameters& p) {
  device::for_each_of(p.count / kVector, [&](int64_t i) {
    float v[kVector];
    device::Vector<T, kVector>::load_to(v, static_cast<const T*>(p.x) + i * kVector);
#pragma unroll
    for (int c = 0; c < kVector; ++c) v[c] = kFunction(v[c]);
    device::Vector<T, kVector>::store_from(static_cast<T*>(p.y) + i * kVector, v);
  });
}

template <class T, int kVector>
__device__ __forceinline__ void geglu(const ActivationParameters& p) {
  device::for_each_of(p.count / kVector, [&](int64_t i) {
    const int64_t row = i * kVector / p.width;
    const T* x = static_cast<const T*>(p.x) + i * kVector + row * p.width;  // rows of x are twice as long
    float value[kVector], gate[kVector];
    device::Vector<T, kVector>::load_to(value, x);
    device::Vector<T, kVector>::load_to(gate, x + p.width);
#pragma unroll
    for (int c = 0; c < kVector; ++c) value[c] *= device::gelu(gate[c]);
    device::Vector<T, kVector>::store_from(static_cast<T*>(p.y) + i * kVector, value);
  });
}

}  // namespace

SDXL_KERNEL(silu_8_bf16, kFlatThreads, 4, ActivationParameters, activate<bf16, 8, device::silu>)
SDXL_KERNEL(silu_8_fp16, kFlatThreads, 4, ActivationParameters, activate<f16, 8, device::silu>)
SDXL_KERNEL(silu_1_bf16, kFlatThreads, 4, ActivationParameters, activate<bf16, 1, device::silu>)
SDXL_KERNEL(silu_1_fp16, kFlatThreads, 4, ActivationParameters, activate<f16, 1, device::silu>)
SDXL_KERNEL(gelu_8_bf16, kFlatThreads, 4, ActivationParameters, activate<bf16, 8, device::gelu>)
SDXL_KERNEL(gelu_8_fp16, kFlatThreads, 4, ActivationParameters, activate<f16, 8, device::gelu>)
SDXL_KERNEL(gelu_1_bf16, kFlatThreads, 4, ActivationParameters, activate<bf16, 1, device::gelu>)
SDXL_KERNEL(gelu_1_fp16, kFlatThreads, 4, ActivationParameters, activate<f16, 1, device::gelu>)
SDXL_KERNEL(quick_gelu_8_bf16, kFlatThreads, 4, ActivationParameters, activate<bf16, 8, device::quick_gelu>)
SDXL_KERNEL(quick_gelu_8_fp16, kFlatThreads, 4, ActivationParameters, activate<f16, 8, device::quick_gelu>)
SDXL_KERNEL(quick_gelu_1_bf16, kFlatThreads, 4, ActivationParameters, activate<bf16, 1, device::quick_gelu>)
SDXL_KERNEL(quick_gelu_1_fp16, kFlatThreads, 4, ActivationParameters, activate<f16, 1, device::quick_gelu>)
SDXL_KERNEL(relu_8_bf16, kFlatThreads, 4, ActivationParameters, activate<bf16, 8, device::relu>)
SDXL_KERNEL(relu_8_fp16, kFlatThreads, 4, ActivationParameters, activate<f16, 8, device::relu>)
SDXL_KERNEL(relu_1_bf16, kFlatThreads, 4, ActivationParameters, activate<bf16, 1, device::relu>)
SDXL_KERNEL(relu_1_fp16, kFlatThreads, 4, ActivationParameters, activate<f16, 1, device::relu>)
SDXL_KERNEL(geglu_8_bf16, kFlatThreads, 4, ActivationParameters, geglu<bf16, 8>)
SDXL_KERNEL(geglu_8_fp16, kFlatThreads, 4, ActivationParameters, geglu<f16, 8>)
SDXL_KERNEL(geglu_1_bf16, kFlatThreads, 4, ActivationParameters, geglu<bf16, 1>)
SDXL_KERNEL(geglu_1_fp16, kFlatThreads, 4, ActivationParameters, geglu<f16, 1>)

}  // namespace sdxl::cuda
