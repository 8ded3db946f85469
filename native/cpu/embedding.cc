#include "cpu/ops.h"
#include "cpu/packed_weight.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Embedding& op) {
  const auto& table = static_cast<const PackedWeight&>(*op.table);
  const auto [batch, length_of_y, width_of_y] = op.y.dims<3>();
  const int64_t length = length_of_y, width = width_of_y;
  require(table.panel == 1 && table.depth == width, "embedding: the table has another width");
  require(op.positions.elements() == length * width, "embedding: the positions have another shape");
  context.with_scratch(batch * length, width, [&](int64_t i, float* scratch) {
    require(op.ids[i] >= 0 && op.ids[i] < table.out, "embedding: an id beyond the table");
    const float* row = widened(context.kernels, table, op.ids[i] * width, width, scratch);
    const float* position = op.positions.data() + i % length * width;
    for (int64_t c = 0; c < width; ++c) op.y[i * width + c] = row[c] + position[c];
  });
}

}  // namespace sdxl::cpu
