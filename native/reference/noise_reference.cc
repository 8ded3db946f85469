// The meaning of ops::Noise.
#include "core/random.h"
#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Noise& op) {
  const auto [images, height, width, channels] = op.y.dims<4>();
  const int64_t pixels = height * width;
  std::vector<float> values(size_t(channels * pixels));
  for (int64_t i = 0; i < images; ++i) {
    Philox::normal(op.seeds[size_t(i)], op.draw, values);
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < pixels; ++p) op.y[(i * pixels + p) * channels + c] = values[size_t(c * pixels + p)];
  }
}

}  // namespace sdxl::reference
