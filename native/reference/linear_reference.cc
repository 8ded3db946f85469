// The meaning of ops::Linear.
#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Linear& op) {
  const auto [rows, in] = op.x.dims<2>();
  const auto& weight = static_cast<const Matrix&>(*op.weight);
  const auto* down = static_cast<const Matrix*>(op.added.down);
  const auto* up = static_cast<const Matrix*>(op.added.up);
  const auto dot = [&, in = in](const Matrix& matrix, int64_t row, int64_t column) {
    double sum = 0;
    for (int64_t k = 0; k < in; ++k) sum += double(op.x[row * in + k]) * matrix.values[size_t(column * in + k)];
    return sum;
  };
  const auto product = [&](int64_t row, int64_t column) {
    double sum = (op.bias ? op.bias[column] : 0) + dot(weight, row, column);
    for (int64_t r = 0; down && r < down->rows; ++r) sum += dot(*down, row, r) * up->values[size_t(column * down->rows + r)];
    return sum;
  };

  const int64_t out = weight.geglu ? weight.rows / 2 : weight.rows;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < out; ++column) {
      double v = activate(op.activation, product(row, column));
      if (weight.geglu) v *= activate(ops::Activation::gelu, product(row, out + column));
      const int64_t at = row * out + column;
      op.y[at] = float(v + (op.residual ? op.residual[at] : 0));
    }
}

}  // namespace sdxl::reference
