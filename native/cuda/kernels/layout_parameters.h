// Elements put in another order.
#pragma once

#include "flat_parameters.h"
#include "types.h"

namespace sdxl::cuda {

// Latents and small pictures between the order of files and requests and our own.
struct TransposeParameters {
  const float* x;  // to_channels_last: [images, channels, pixels]; to_channels_first: [images, pixels, channels]
  float* y;        // the other
  int64_t images, pixels, channels;
};

struct ConcatParameters {
  const void* a;                   // [rows, a_width]
  const void* b;                   // [rows, b_width]
  void* y;                         // [rows, a_width + b_width]
  int64_t rows, a_width, b_width;  // in units of the kernel
};

}  // namespace sdxl::cuda
