// Group normalisation with an optional SiLU behind it. Wu & He 2018, eq. 1; SDXL: 32 groups, eps 1e-5 in the UNet, 1e-6 in the VAE.
#pragma once

#include "core/tensor.h"

namespace sdxl::ops {

struct GroupNorm {
  ConstTensor x;       // [batch, height, width, channels]
  ConstTensor weight;  // [channels]
  ConstTensor bias;    // [channels]
  Tensor y;            // like x; may be x itself
  int groups;          // divides channels
  float eps;
  bool silu;  // all but one of SDXL's group norms feed a SiLU, so it costs no second pass
};

}  // namespace sdxl::ops
