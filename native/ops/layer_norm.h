// Layer normalisation over the last dimension. Ba et al. 2016; eps 1e-5 everywhere in SDXL.
#pragma once

#include "core/tensor.h"

namespace sdxl::ops {

struct LayerNorm {
  ConstTensor x;       // [rows, channels]
  ConstTensor weight;  // [channels]
  ConstTensor bias;    // [channels]
  Tensor y;            // like x; may be x itself
  float eps;
};

}  // namespace sdxl::ops
