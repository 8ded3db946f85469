// Of each image y, the part that points the way of another is taken only so far: y − (1 − share) · (y·v) v with v = along / |along|, after y was
// shortened to the length `limit`, if that is not 0. Sadat et al. 2024, "Eliminating Oversaturation and Artifacts of High Guidance Scales in
// Diffusion Models", algorithm 1.
#pragma once

#include "core/tensor.h"

namespace sdxl::ops {

struct Project {
  ConstTensor along;  // [images, height, width, channels]
  float share, limit;
  Tensor y;  // like `along`, in place
};

}  // namespace sdxl::ops
