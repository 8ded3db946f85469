// The meaning of ops::Blend.
#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Blend& op) {
  const int64_t pixels = op.mask.elements(), channels = op.y.shape().last();
  for (int64_t i = 0; i < op.y.elements(); ++i) {
    const double mask = op.mask[i / channels % pixels];
    op.y[i] = float(mask * op.a[i] + (1 - mask) * op.b[i]);
  }
}

}  // namespace sdxl::reference
