// The meaning of ops::Rescale.
#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

namespace {

double deviation(ConstTensor x) {
  double mean = 0, square = 0;
  for (int64_t i = 0; i < x.elements(); ++i) mean += x[i];
  mean /= double(x.elements());
  for (int64_t i = 0; i < x.elements(); ++i) square += (x[i] - mean) * (x[i] - mean);
  return std::sqrt(square / double(x.elements()));
}

}  // namespace

void run(const ops::Rescale& op) {
  for (int64_t image = 0; image < op.y.shape()[0]; ++image) {
    const Tensor y = op.y.item(image);
    const double own = deviation(y);
    const double factor = own > 0 ? 1 + op.share * (deviation(op.like.item(image)) / own - 1) : 1;
    for (int64_t i = 0; i < y.elements(); ++i) y[i] = float(y[i] * factor);
  }
}

}  // namespace sdxl::reference
