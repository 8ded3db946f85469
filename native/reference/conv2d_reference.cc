// The meaning of ops::Conv2d.
#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Conv2d& op) {
  const auto [batch, x_height, x_width, in] = op.x.dims<4>();
  const auto [y_batch, height, width, out] = op.y.dims<4>();
  const auto& weight = static_cast<const Matrix&>(*op.weight);
  const int64_t scale = op.upsample ? 2 : 1;
  const int64_t seen_height = op.upsample ? height : x_height, seen_width = op.upsample ? width : x_width;

  const auto pixel = [&, in = in](int64_t b, int64_t row, int64_t column, int64_t channel) -> double {
    if (op.wrap_y) row = (row % seen_height + seen_height) % seen_height;
    if (op.wrap_x) column = (column % seen_width + seen_width) % seen_width;
    if (row < 0 || column < 0 || row >= seen_height || column >= seen_width) return 0;
    return op.x[((b * x_height + row / scale) * x_width + column / scale) * in + channel];
  };
  const auto* down = static_cast<const Matrix*>(op.added.down);
  const auto* up = static_cast<const Matrix*>(op.added.up);
  const auto dot = [&, in = in](const Matrix& matrix, int64_t b, int64_t i, int64_t j, int64_t o) {
    double sum = 0;
    for (int64_t c = 0; c < in; ++c)
      for (int64_t ky = 0; ky < matrix.height; ++ky)
        for (int64_t kx = 0; kx < matrix.width; ++kx)
          sum += pixel(b, i * op.stride - op.padding + ky, j * op.stride - op.padding + kx, c) *
                 matrix.values[size_t(((o * in + c) * matrix.height + ky) * matrix.width + kx)];
    return sum;
  };
  for (int64_t b = 0; b < y_batch; ++b)
    for (int64_t i = 0; i < height; ++i)
      for (int64_t j = 0; j < width; ++j)
        for (int64_t o = 0; o < out; ++o) {
          double sum = (op.bias ? op.bias[o] : 0) + dot(weight, b, i, j, o);
          for (int64_t r = 0; down && r < down->rows; ++r) sum += dot(*down, b, i, j, r) * up->values[size_t(o * down->rows + r)];
          if (op.per_image) sum += op.per_image[b * out + o];
          const int64_t at = ((b * height + i) * width + j) * out + o;
          op.y[at] = float(activate(op.activation, sum) + (op.residual ? op.residual[at] : 0));
        }
}

}  // namespace sdxl::reference
