// The meaning of ops::GroupNorm. Slow on purpose: every other implementation is tested against this one.
#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::GroupNorm& op) {
  const auto [batch, height, width, channels] = op.x.dims<4>();
  const int64_t pixels = height * width, per_group = channels / op.groups;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t g = 0; g < op.groups; ++g) {
      const auto at = [&](int64_t p, int64_t c) { return (b * pixels + p) * channels + g * per_group + c; };
      // Two passes in double: E[x²] − E[x]² cancels badly when |mean| >> deviation, which real VAE activations show.
      double mean = 0, variance = 0;
      for (int64_t p = 0; p < pixels; ++p)
        for (int64_t c = 0; c < per_group; ++c) mean += op.x[at(p, c)];
      mean /= pixels * per_group;
      for (int64_t p = 0; p < pixels; ++p)
        for (int64_t c = 0; c < per_group; ++c) variance += std::pow(op.x[at(p, c)] - mean, 2);
      const double scale = 1 / std::sqrt(variance / (pixels * per_group) + op.eps);

      for (int64_t p = 0; p < pixels; ++p)
        for (int64_t c = 0; c < per_group; ++c) {
          const int64_t channel = g * per_group + c;
          const double v = (op.x[at(p, c)] - mean) * scale * op.weight[channel] + op.bias[channel];
          op.y[at(p, c)] = float(op.silu ? v / (1 + std::exp(-v)) : v);
        }
    }
}

}  // namespace sdxl::reference
