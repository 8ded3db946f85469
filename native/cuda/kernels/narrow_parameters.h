// Rows of 16-bit elements, as matrix products read them.
#pragma once

#include "flat_parameters.h"
#include "types.h"

namespace sdxl::cuda {

struct NarrowParameters {
  const void* x;                // [rows, width]
  void* y;                      // [rows, padded]
  int64_t rows, width, padded;  // multiples of what the kernel reads (width) and writes (padded) at once
};

}  // namespace sdxl::cuda
