#include "flat.h"
#include "layout_parameters.h"

namespace sdxl::cuda {

namespace {

__device__ __forceinline__ void last(const TransposeParameters& p) {
  device::for_each_of(p.images * p.pixels * p.channels, [&](int64_t i) {
    const int64_t channel = i % p.channels, pixel = i / p.channels % p.pixels, image = i / p.channels / p.pixels;
    device::store(p.y + i, device::load(p.x + (image * p.channels + channel) * p.pixels + pixel));
  });
}

__device__ __forceinline__ void first(const TransposeParameters& p) {
  device::for_each_of(p.images * p.pixels * p.channels, [&](int64_t i) {
    const int64_t pixel = i % p.pixels, channel = i / p.pixels % p.channels, image = i / p.pixels / p.channels;
    device::store(p.y + i, device::load(p.x + (image * p.pixels + pixel) * p.channels + channel));
  });
}

template <class Unit>
__device__ __forceinline__ void concat(const ConcatParameters& p) {
  const int64_t width = p.a_width + p.b_width;
  device::for_each_of(p.rows * width, [&](int64_t i) {
    const int64_t row = i / width, column = i % width;
    const Unit* from =
        column < p.a_width ? static_cast<const Unit*>(p.a) + row * p.a_width + column : static_cast<const Unit*>(p.b) + row * p.b_width + column - p.a_width;
    device::store(static_cast<Unit*>(p.y) + i, device::load(from));
  });
}

}  // namespace

SDXL_KERNEL(to_channels_last, kFlatThreads, 4, TransposeParameters, last)
SDXL_KERNEL(to_channels_first, kFlatThreads, 4, TransposeParameters, first)
SDXL_KERNEL(concat_16_bytes, kFlatThreads, 4, ConcatParameters, concat<uint4>)
SDXL_KERNEL(concat_2_bytes, kFlatThreads, 4, ConcatParameters, concat<uint16_t>)

}  // namespace sdxl::cuda
