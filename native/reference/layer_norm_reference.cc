// The meaning of ops::LayerNorm.
#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::LayerNorm& op) {
  const auto [rows, channels] = op.x.dims<2>();
  for (int64_t row = 0; row < rows; ++row) {
    const float* x = op.x.data() + row * channels;
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < channels; ++c) mean += x[c];
    mean /= double(channels);
    for (int64_t c = 0; c < channels; ++c) variance += std::pow(x[c] - mean, 2);
    const double scale = 1 / std::sqrt(variance / double(channels) + op.eps);
    for (int64_t c = 0; c < channels; ++c) op.y[row * channels + c] = float((x[c] - mean) * scale * op.weight[c] + op.bias[c]);
  }
}

}  // namespace sdxl::reference
