#include <cmath>

#include "cpu/ops.h"

namespace sdxl::cpu {

namespace {

double dot(ConstTensor a, ConstTensor b) {
  double sum = 0;
  for (int64_t i = 0; i < a.elements(); ++i) sum += double(a[i]) * b[i];
  return sum;
}

}  // namespace

void run(const Context& context, const ops::Project& op) {
  require(op.along.shape() == op.y.shape(), "project: the shapes do not fit together");
  context.pool.parallel(op.y.shape()[0], [&](int64_t image) {
    const Tensor y = op.y.item(image);
    const ConstTensor along = op.along.item(image);
    const double length = std::sqrt(dot(y, y)), square = dot(along, along);
    const double shorten = op.limit > 0 && length > op.limit ? op.limit / length : 1;
    const float own = float(shorten), less = square > 0 ? float(-shorten * (1 - op.share) * dot(y, along) / square) : 0;
    for (int64_t i = 0; i < y.elements(); ++i) y[i] = own * y[i] + less * along[i];
  });
}

}  // namespace sdxl::cpu
