// Channels of a, then channels of b: a skip connection joins the UNet's way up.
#pragma once

#include "core/tensor.h"

namespace sdxl::ops {

struct Concat {
  ConstTensor a;  // [rows, channels of a]
  ConstTensor b;  // [rows, channels of b]
  Tensor y;       // [rows, both]
};

}  // namespace sdxl::ops
