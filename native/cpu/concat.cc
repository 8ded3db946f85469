#include "cpu/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Concat& op) {
  const auto [rows, a_channels] = op.a.dims<2>();
  const auto [b_rows, b_channels] = op.b.dims<2>();
  const int64_t a = a_channels, b = b_channels;
  require(b_rows == rows && op.y.shape() == Shape({rows, a + b}), "concat: the shapes do not fit together");
  context.in_pieces(rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* y = op.y.data() + row * (a + b);
      std::memcpy(y, op.a.data() + row * a, size_t(a) * sizeof(float));
      std::memcpy(y + a, op.b.data() + row * b, size_t(b) * sizeof(float));
    }
  });
}

}  // namespace sdxl::cpu
