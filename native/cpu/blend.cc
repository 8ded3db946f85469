#include "cpu/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Blend& op) {
  const auto [images, height, width, each] = op.y.dims<4>();
  const int64_t pixels = height * width, channels = each;
  require(op.mask.elements() == pixels && op.a.shape() == op.y.shape() && op.b.shape() == op.y.shape(), "blend: the shapes do not fit together");
  context.in_pieces(images * pixels, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const float mask = op.mask[p % pixels], rest = 1 - mask;
      for (int64_t i = p * channels; i < (p + 1) * channels; ++i) op.y[i] = mask * op.a[i] + rest * op.b[i];
    }
  });
}

}  // namespace sdxl::cpu
