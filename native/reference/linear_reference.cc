// The meaning of ops::Linear.
#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Linear& op) {
  const auto [rows, in] = op.x.dims<2>();
  const auto& weight = static_cast<const Matrix&>(*op.weight);
  const auto product = [&](int64_t row, int64_t column) {
    double sum = op.bias ? op.bias[column] : 0;
    for (int64_t k = 0; k < in; ++k) sum += double(op.x[row * in + k]) * weight.values[size_t(column * in + k)];
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
