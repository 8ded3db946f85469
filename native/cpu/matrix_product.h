// y = finish(x · Wᵀ) after Van Zee & van de Geijn 2015 (BLIS): the one loop behind Linear and Conv2d.
#pragma once

#include "cpu/context.h"
#include "cpu/packed_weight.h"

namespace sdxl::cpu {

// Where the left matrix comes from: dense rows, or picture patches that are never laid out in full.
class RowSource {
 public:
  virtual ~RowSource() = default;
  // Copies columns k0 … k0 + depth − 1 of rows row0 … row0 + rows − 1 to `to`, rows `stride` apart.
  virtual void copy(int64_t row0, int64_t rows, int64_t k0, int64_t depth, float* to, int64_t stride) const = 0;
};

struct MatrixProduct {
  const RowSource& x;
  const PackedWeight& weight;
  int64_t rows;
  const float* bias = nullptr;       // [out]
  const float* per_image = nullptr;  // [rows / rows_per_image, out]
  int64_t rows_per_image = 0;
  const float* residual = nullptr;  // like y, and may be y
  float* y = nullptr;               // [rows, outputs]
  ops::Activation activation = ops::Activation::none;
};

// Every element of y is the same sum in the same order whatever the rows beside it and the number of threads.
void multiply(const Context& context, const MatrixProduct& product);

}  // namespace sdxl::cpu
