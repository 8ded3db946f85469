// A tensor as the copy engine of sm_90 sees it, made by the driver (or the emulator) from a TensorBox.
#pragma once

#include "types.h"

namespace sdxl::cuda {

struct alignas(64) TensorMap {
  uint64_t words[16];
};

// 16-bit elements, innermost dimension first. Copies bring boxes of `box` elements into rows of 128 bytes, swizzled.
struct TensorBox {
  static constexpr int kMost = 4;
  const void* data;
  int32_t dimensions;
  int64_t sizes[kMost];
  int64_t strides[kMost];  // bytes from element to element; the first is 2
  int32_t box[kMost];      // the first is 64
};

}  // namespace sdxl::cuda
