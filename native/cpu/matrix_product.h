// y = finish(x · Wᵀ) after Van Zee & van de Geijn 2015 (BLIS): the one loop behind Linear and Conv2d.
#pragma once

#include "cpu/context.h"
#include "cpu/packed_weight.h"

namespace sdxl::cpu {

// Where the left matrix comes from: dense rows, or picture patches that are never laid out in full. Beside a weight in pairs its columns are
// pairs, too, which only take the place of floats.
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
  const RowSource* x2 = nullptr;  // a second product that is added before anything else: x · Wᵀ + x2 · W2ᵀ
  const PackedWeight* weight2 = nullptr;
  const float* bias = nullptr;       // [out]
  const float* per_image = nullptr;  // [rows / rows_per_image, out]
  int64_t rows_per_image = 0;
  const float* residual = nullptr;  // like y, and may be y
  float* y = nullptr;               // [rows, outputs]
  ops::Activation activation = ops::Activation::none;
};

// Every element of y is the same sum in the same order whatever the rows beside it and the number of threads.
void multiply(const Context& context, const MatrixProduct& product);

class DenseRows final : public RowSource {
 public:
  DenseRows(const float* x, int64_t columns) : x_(x), columns_(columns) {}
  void copy(int64_t row0, int64_t rows, int64_t k0, int64_t depth, float* to, int64_t stride) const override {
    for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * stride, x_ + (row0 + i) * columns_ + k0, size_t(depth) * sizeof(float));
  }

 private:
  const float* x_;
  int64_t columns_;
};

// x [rows, columns] in pairs of bf16 [rows, (columns + 1) / 2], for a weight in pairs.
Array rounded_to_pairs(const Context& context, const float* x, int64_t rows, int64_t columns);

// The product with a low-rank addition to its weight, if there is one: `x_down` is x as the addition's first factor reads
// it, never in pairs.
void multiply(const Context& context, MatrixProduct product, const ops::LowRank& added, const RowSource& x_down);

}  // namespace sdxl::cpu
