#include "cpu/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Activate& op) {
  require(op.y.elements() == op.x.elements(), "activation: the output has another shape");
  context.in_pieces(op.x.elements(), 16384,
                    [&](int64_t begin, int64_t end) { context.kernels.activate(op.x.data() + begin, op.y.data() + begin, end - begin, op.activation); });
}

}  // namespace sdxl::cpu
