// Element-wise functions where no matrix product stands before them.
#pragma once

#include "flat_parameters.h"
#include "types.h"

namespace sdxl::cuda {

struct ActivationParameters {
  const void* x;  // [count]; geglu: [count / width, 2 · width], values in the first half of a row and gates in the second
  void* y;        // [count]; may be x itself but for geglu
  int64_t count;  // of y, a multiple of the vector in the kernel's name
  int64_t width;  // geglu only
};

}  // namespace sdxl::cuda
