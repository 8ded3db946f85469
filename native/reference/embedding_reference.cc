// The meaning of ops::Embedding.
#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Embedding& op) {
  const auto [batch, length, width] = op.y.dims<3>();
  const auto& table = static_cast<const Matrix&>(*op.table);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < length; ++i)
      for (int64_t c = 0; c < width; ++c)
        op.y[(b * length + i) * width + c] = table.values[size_t(op.ids[b * length + i] * width + c)] + op.positions[i * width + c];
}

}  // namespace sdxl::reference
