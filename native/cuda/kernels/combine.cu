#include "flat.h"
#include "latents_parameters.h"

namespace sdxl::cuda {

namespace {

template <class T>
__device__ __forceinline__ void combine(const CombineParameters& p) {
  device::for_each_of(p.count, [&](int64_t i) {
    float inside = 0, outside = 0;
    for (int t = 0; t < p.inside; ++t) inside += p.coefficients[t] * device::load(p.x[t] + i);
    for (int t = p.inside; t < p.inside + p.outside; ++t) outside += p.coefficients[t] * device::load(p.x[t] + i);
    T* y = static_cast<T*>(p.y) + i;
    if (p.mask) {
      const float mask = device::load(p.mask + i / p.channels % p.pixels);
      inside = mask * inside + (1 - mask) * outside;
    }
    if (p.keep) inside += device::to_float(device::load(y));
    device::store(y, device::from_float<T>(inside));
  });
}

}  // namespace

SDXL_KERNEL(combine_f32, kFlatThreads, 4, CombineParameters, combine<float>)
SDXL_KERNEL(combine_bf16, kFlatThreads, 4, CombineParameters, combine<bf16>)
SDXL_KERNEL(combine_fp16, kFlatThreads, 4, CombineParameters, combine<f16>)

}  // namespace sdxl::cuda
