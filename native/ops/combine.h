// y = Σ coefficient · x. All the arithmetic between two model calls: sampler steps, guidance, input scaling, added noise.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace sdxl::ops {

struct Combine {
  struct Term {
    float coefficient;
    ConstTensor x;  // like y; may be y itself
  };
  std::vector<Term> terms;  // none: y becomes 0
  Tensor y;
};

}  // namespace sdxl::ops
