// y = activation(x · Wᵀ + bias) + residual: every fully connected layer and every 1×1 convolution.
#pragma once

#include "ops/activation.h"
#include "ops/weight.h"

namespace sdxl::ops {

struct Linear {
  ConstTensor x;                             // [rows, in]
  const Packed* weight;                      // [out, in]
  ConstTensor bias = {};                     // [out], or none
  ConstTensor residual = {};                 // like y, or none; may be y itself
  Tensor y;                                  // [rows, out]; packed with geglu: [rows, out / 2] = value · gelu(gate)
  Activation activation = Activation::none;  // none with geglu
  LowRank added = {};
};

}  // namespace sdxl::ops
