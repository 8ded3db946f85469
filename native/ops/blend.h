// y = mask · a + (1 − mask) · b, one mask for all images and channels: inpainting keeps what lies outside.
#pragma once

#include "core/tensor.h"

namespace sdxl::ops {

struct Blend {
  ConstTensor mask;  // [height, width]
  ConstTensor a, b;  // [images, height, width, channels]
  Tensor y;          // like a; may be a or b itself
};

}  // namespace sdxl::ops
