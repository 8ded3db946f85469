// Rounds to nearest even. Zeros fill each row of y behind the columns that x has.
#include "flat.h"
#include "narrow_parameters.h"
#include "vector.h"

namespace sdxl::cuda {

namespace {

template <class T>
__device__ __forceinline__ void load8(float (&values)[8], const T* p) {
  device::Vector<T, 8>::load_to(values, p);
}
__device__ __forceinline__ void load8(float (&values)[8], const float* p) {
  const float4 a = device::load(reinterpret_cast<const float4*>(p)), b = device::load(reinterpret_cast<const float4*>(p) + 1);
  values[0] = a.x, values[1] = a.y, values[2] = a.z, values[3] = a.w, values[4] = b.x, values[5] = b.y, values[6] = b.z, values[7] = b.w;
}

template <int kRead, int kWrite, class From, class To>
__device__ __forceinline__ void narrow(const NarrowParameters& p) {
  static_assert(kRead == 1 || kRead == kWrite);
  const int64_t vectors = p.padded / kWrite;  // of a row
  device::for_each_of(p.rows * vectors, [&](int64_t i) {
    const int64_t row = i / vectors, first = i % vectors * kWrite;
    const From* x = static_cast<const From*>(p.x) + row * p.width + first;
    float v[kWrite] = {};
    if constexpr (kRead == 8) {
      if (first < p.width) load8(v, x);
    } else {
#pragma unroll
      for (int c = 0; c < kWrite; ++c)
        if (first + c < p.width) v[c] = device::to_float(device::load(x + c));
    }
    device::Vector<To, kWrite>::store_from(static_cast<To*>(p.y) + i * kWrite, v);
  });
}

}  // namespace

#define SDXL_NARROW_KERNELS(read, write)                                                                               \
  SDXL_KERNEL(narrow_##read##_##write##_f32_bf16, kFlatThreads, 4, NarrowParameters, narrow<read, write, float, bf16>) \
  SDXL_KERNEL(narrow_##read##_##write##_f32_fp16, kFlatThreads, 4, NarrowParameters, narrow<read, write, float, f16>)  \
  SDXL_KERNEL(narrow_##read##_##write##_bf16_bf16, kFlatThreads, 4, NarrowParameters, narrow<read, write, bf16, bf16>) \
  SDXL_KERNEL(narrow_##read##_##write##_bf16_fp16, kFlatThreads, 4, NarrowParameters, narrow<read, write, bf16, f16>)  \
  SDXL_KERNEL(narrow_##read##_##write##_fp16_bf16, kFlatThreads, 4, NarrowParameters, narrow<read, write, f16, bf16>)  \
  SDXL_KERNEL(narrow_##read##_##write##_fp16_fp16, kFlatThreads, 4, NarrowParameters, narrow<read, write, f16, f16>)

SDXL_NARROW_KERNELS(8, 8)
SDXL_NARROW_KERNELS(1, 8)
SDXL_NARROW_KERNELS(1, 1)

}  // namespace sdxl::cuda
