// The meaning of ops::Concat.
#include <algorithm>

#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Concat& op) {
  const auto [rows, a] = op.a.dims<2>();
  const auto [b_rows, b] = op.b.dims<2>();
  for (int64_t row = 0; row < rows; ++row) {
    float* y = op.y.data() + row * (a + b);
    std::copy_n(op.a.data() + row * a, a, y);
    std::copy_n(op.b.data() + row * b, b, y + a);
  }
}

}  // namespace sdxl::reference
