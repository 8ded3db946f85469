// Layer normalisation, a warp for each row.
#pragma once

#include "types.h"

namespace sdxl::cuda {

constexpr int kLayerNormThreads = 128;

struct LayerNormParameters {
  const void* x;        // [rows, channels]
  void* y;              // like x; may be x itself
  const float* weight;  // [channels]
  const float* bias;    // [channels]
  int64_t rows;
  int32_t channels;
  float eps;
};

}  // namespace sdxl::cuda
