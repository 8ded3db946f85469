#include "cpu/ops.h"
#include "reference/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Rgb& op) {
  require(op.x.shape()[0] == 1 && op.x.shape().last() == 3, "rgb: not one picture of three channels");
  const int64_t rows = op.x.shape()[1], row = op.x.elements() / rows;
  context.pool.parallel(rows, [&](int64_t y) { reference::run(ops::Rgb{op.x.as({rows, row}).item(y), op.y + y * row}); });
}

}  // namespace sdxl::cpu
