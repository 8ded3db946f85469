#include "embedding_parameters.h"
#include "flat.h"

namespace sdxl::cuda {

namespace {

// Table is the format of the weights, T that of the activations.
template <class Table, class T>
__device__ __forceinline__ void embed(const EmbeddingParameters& p) {
  device::for_each_of(p.rows * p.width, [&](int64_t i) {
    const int64_t row = i / p.width, column = i % p.width;
    const float token = device::to_float(device::load(static_cast<const Table*>(p.table) + int64_t(device::load(p.ids + row)) * p.width + column));
    device::store(static_cast<T*>(p.y) + i, device::from_float<T>(token + device::load(p.positions + row % p.length * p.width + column)));
  });
}

// Rounds to float where the CPU's engine does; see its reference.
template <class T>
__device__ __forceinline__ void sinusoid(const SinusoidParameters& p) {
  const int half = p.width / 2;
  device::for_each_of(int64_t(p.count) * p.width, [&](int64_t i) {
    const int column = int(i % p.width), k = column % half;
    const float exponent = -device::log(10000.0f) * float(k) / float(half);
    const float angle = p.values[i / p.width] * float(::exp(double(exponent)));  // rounded once: the hardware's own exp is 1e-7 off
    device::store(static_cast<T*>(p.y) + i, device::from_float<T>(column < half ? device::cos(angle) : device::sin(angle)));
  });
}

}  // namespace

SDXL_KERNEL(embed_f32_bf16, kFlatThreads, 4, EmbeddingParameters, embed<float, bf16>)
SDXL_KERNEL(embed_f32_fp16, kFlatThreads, 4, EmbeddingParameters, embed<float, f16>)
SDXL_KERNEL(embed_bf16_bf16, kFlatThreads, 4, EmbeddingParameters, embed<bf16, bf16>)
SDXL_KERNEL(embed_bf16_fp16, kFlatThreads, 4, EmbeddingParameters, embed<bf16, f16>)
SDXL_KERNEL(embed_fp16_bf16, kFlatThreads, 4, EmbeddingParameters, embed<f16, bf16>)
SDXL_KERNEL(embed_fp16_fp16, kFlatThreads, 4, EmbeddingParameters, embed<f16, f16>)
SDXL_KERNEL(sinusoid_f32, kFlatThreads, 4, SinusoidParameters, sinusoid<float>)
SDXL_KERNEL(sinusoid_bf16, kFlatThreads, 4, SinusoidParameters, sinusoid<bf16>)
SDXL_KERNEL(sinusoid_fp16, kFlatThreads, 4, SinusoidParameters, sinusoid<f16>)

}  // namespace sdxl::cuda
