// What a network's numbers of another kind become: tokens, timesteps, picture sizes.
#pragma once

#include "flat_parameters.h"
#include "types.h"

namespace sdxl::cuda {

struct EmbeddingParameters {
  const int32_t* ids;      // [rows], each below the table's rows
  const void* table;       // [vocabulary, width]
  const float* positions;  // [length, width]; row r is at position r % length
  void* y;                 // [rows, width]
  int64_t rows, length, width;
};

struct SinusoidParameters {
  static constexpr int kValues = 64;
  float values[kValues];
  void* y;  // [count, width]
  int32_t count, width;
};

}  // namespace sdxl::cuda
