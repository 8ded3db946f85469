#include "cpu/ops.h"
#include "reference/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Noise& op) {
  require(int64_t(op.seeds.size()) == op.y.shape()[0], "noise: not one seed for each image");
  context.pool.parallel(op.y.shape()[0], [&](int64_t i) { reference::run(ops::Noise{{op.seeds[size_t(i)]}, op.draw, op.y.item(i)}); });
}

}  // namespace sdxl::cpu
