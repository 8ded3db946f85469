// Parameters of the sm_90a products: the same sums and epilogue as matrix_parameters.h, their operands as tensor maps.
#pragma once

#include "matrix_parameters.h"
#include "tensor_map.h"

namespace sdxl::cuda {

struct WgmmaParameters {
  static constexpr int kSegments = 2;
  TensorMap x[kSegments];     // [rows, inner]
  TensorMap w[kSegments];     // [columns, inner]
  MatrixParameters matrix;    // without its segments
  int32_t rounds[kSegments];  // ⌈inner / 64⌉; 0: there is no such segment
};

}  // namespace sdxl::cuda
