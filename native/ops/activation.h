// Element-wise functions, alone or behind a matrix product.
#pragma once

#include "core/tensor.h"

namespace sdxl::ops {

enum class Activation {
  none,
  silu,        // x / (1 + e^−x)
  gelu,        // x · Φ(x), the exact erf form; OpenCLIP bigG and GEGLU
  quick_gelu,  // x / (1 + e^−1.702x); CLIP-L
  relu,        // max(x, 0); TAESD
};

struct Activate {
  ConstTensor x;  // any shape
  Tensor y;       // like x; may be x itself
  Activation activation;
};

}  // namespace sdxl::ops
