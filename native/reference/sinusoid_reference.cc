// The meaning of ops::Sinusoid.
#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Sinusoid& op) {
  const auto [count, width] = op.y.dims<2>();
  const int64_t half = width / 2;
  for (int64_t n = 0; n < count; ++n)
    for (int64_t i = 0; i < half; ++i) {
      // float at each step, as the models were trained: at timestep 999 a double frequency moves the angle by up to 1e-4.
      const float frequency = std::exp(-std::log(10000.0f) * float(i) / float(half));
      const float angle = op.values[size_t(n)] * frequency;
      op.y[n * width + i] = std::cos(angle);
      op.y[n * width + half + i] = std::sin(angle);
    }
}

}  // namespace sdxl::reference
