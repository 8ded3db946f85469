// A few hundred numbers a picture, so not worth a kernel. In float at each step, as the models were trained: at timestep 999 a
// frequency in double moves the angle by up to 1e-4.
#include <cmath>

#include "cpu/ops.h"

namespace sdxl::cpu {

void run(const Context&, const ops::Sinusoid& op) {
  const auto [count, width] = op.y.dims<2>();
  require(count == int64_t(op.values.size()) && width % 2 == 0, "sinusoid: the output has another shape");
  const int64_t half = width / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float frequency = std::exp(-std::log(10000.0f) * float(i) / float(half));
    for (int64_t n = 0; n < count; ++n) {
      const float angle = op.values[size_t(n)] * frequency;
      op.y[n * width + i] = std::cos(angle);
      op.y[n * width + half + i] = std::sin(angle);
    }
  }
}

}  // namespace sdxl::cpu
