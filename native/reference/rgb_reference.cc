// The meaning of ops::Rgb.
#include <algorithm>
#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Rgb& op) {
  for (int64_t i = 0; i < op.x.elements(); ++i) {
    const float value = op.x[i];
    if (std::isnan(value)) throw Error(Code::internal, "the VAE returned pixels that are no numbers; are the latents finite?");
    op.y[i] = uint8_t(std::nearbyint(std::clamp(value / 2 + 0.5f, 0.f, 1.f) * 255));
  }
}

}  // namespace sdxl::reference
