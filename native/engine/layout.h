// Between the public layout of latents and pixels (batch, channels, height, width) and the engine's own, channels last.
#pragma once

#include "core/tensor.h"

namespace sdxl::engine {

// from [batch, channels, height, width] → to [batch, height, width, channels]
inline void to_channels_last(const float* from, Tensor to) {
  const auto [batch, height, width, channels] = to.dims<4>();
  const int64_t pixels = height * width;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < pixels; ++p) to[(b * pixels + p) * channels + c] = from[(b * channels + c) * pixels + p];
}

// from [batch, height, width, channels] → to [batch, channels, height, width]
inline void to_channels_first(ConstTensor from, float* to) {
  const auto [batch, height, width, channels] = from.dims<4>();
  const int64_t pixels = height * width;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < pixels; ++p) to[(b * channels + c) * pixels + p] = from[(b * pixels + p) * channels + c];
}

}  // namespace sdxl::engine
