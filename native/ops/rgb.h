// Pixels in −1 … 1 to bytes: clamp(x / 2 + ½) · 255, rounded half to even. Diffusers: VaeImageProcessor.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace sdxl::ops {

// Throws Error(internal) where a pixel is no number.
struct Rgb {
  ConstTensor x;  // [1, height, width, 3]
  uint8_t* y;     // [height, width, 3], in memory of the host
};

}  // namespace sdxl::ops
