#include "cpu/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::LayerNorm& op) {
  const auto [rows, channels_of_x] = op.x.dims<2>();
  const int64_t channels = channels_of_x;
  require(op.weight.elements() == channels && op.bias.elements() == channels, "layer norm: weight or bias has another length");
  require(op.y.elements() == op.x.elements(), "layer norm: the output has another shape");
  context.in_pieces(rows, 16, [&](int64_t begin, int64_t end) {
    context.kernels.layer_norm(op.x.data() + begin * channels, op.y.data() + begin * channels, end - begin, channels, op.weight.data(), op.bias.data(), op.eps);
  });
}

}  // namespace sdxl::cpu
