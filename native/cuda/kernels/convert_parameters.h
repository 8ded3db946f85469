// From one number format to another.
#pragma once

#include "flat_parameters.h"
#include "types.h"

namespace sdxl::cuda {

struct ConvertParameters {
  const void* x;
  void* y;
  int64_t count;
};

}  // namespace sdxl::cuda
