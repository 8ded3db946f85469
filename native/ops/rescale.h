// Brings the standard deviation of every image near that of another: y · (1 + share · (deviation of like / deviation of y − 1)).
// Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps Are Flawed", section 3.4: guidance rescale, φ = share.
#pragma once

#include "core/tensor.h"

namespace sdxl::ops {

struct Rescale {
  ConstTensor like;  // [images, height, width, channels]
  float share;
  Tensor y;  // like `like`, in place
};

}  // namespace sdxl::ops
