// The meaning of ops::Project.
#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Project& op) {
  for (int64_t image = 0; image < op.y.shape()[0]; ++image) {
    const Tensor y = op.y.item(image);
    const ConstTensor along = op.along.item(image);
    double length = 0, along_length = 0, dot = 0;
    for (int64_t i = 0; i < y.elements(); ++i) length += double(y[i]) * y[i], along_length += double(along[i]) * along[i], dot += double(y[i]) * along[i];
    length = std::sqrt(length);
    const double shorten = op.limit > 0 && length > op.limit ? op.limit / length : 1;
    const double parallel = along_length > 0 ? dot / along_length : 0;
    for (int64_t i = 0; i < y.elements(); ++i) y[i] = float(shorten * (y[i] - (1 - op.share) * parallel * along[i]));
  }
}

}  // namespace sdxl::reference
