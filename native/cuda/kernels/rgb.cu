// clamp(x / 2 + ½) · 255, rounded half to even, as Diffusers does.
#include "flat.h"
#include "latents_parameters.h"

namespace sdxl::cuda {

namespace {

template <class T>
__device__ __forceinline__ void rgb(const RgbParameters& p) {
  device::for_each_of(p.pixels * 3, [&](int64_t i) {
    const float value = device::to_float(device::load(static_cast<const T*>(p.x) + i / 3 * p.stride + i % 3));
    if (value != value) device::atomic_max(p.bad, 1u);
    const float unit = device::minimum(device::maximum(value / 2 + 0.5f, 0), 1);
    device::store(p.y + i, uint8_t(::rint(unit * 255)));
  });
}

}  // namespace

SDXL_KERNEL(rgb_f32, kFlatThreads, 4, RgbParameters, rgb<float>)
SDXL_KERNEL(rgb_bf16, kFlatThreads, 4, RgbParameters, rgb<bf16>)
SDXL_KERNEL(rgb_fp16, kFlatThreads, 4, RgbParameters, rgb<f16>)

}  // namespace sdxl::cuda
