#include <cmath>

#include "cpu/ops.h"

namespace sdxl::cpu {

namespace {

// In double: latents are small, and one pass for each moment costs nothing beside a model call.
double deviation(ConstTensor x) {
  const int64_t count = x.elements();
  double mean = 0, square = 0;
  for (int64_t i = 0; i < count; ++i) mean += x[i];
  mean /= double(count);
  for (int64_t i = 0; i < count; ++i) square += (x[i] - mean) * (x[i] - mean);
  return std::sqrt(square / double(count));
}

}  // namespace

void run(const Context& context, const ops::Rescale& op) {
  require(op.like.shape() == op.y.shape(), "rescale: the shapes do not fit together");
  context.pool.parallel(op.y.shape()[0], [&](int64_t image) {
    const Tensor y = op.y.item(image);
    const double own = deviation(y);
    if (!(own > 0)) return;
    const float factor = float(1 + op.share * (deviation(op.like.item(image)) / own - 1));
    for (int64_t i = 0; i < y.elements(); ++i) y[i] *= factor;
  });
}

}  // namespace sdxl::cpu
