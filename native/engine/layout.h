// Between the public layout of latents and pixels (batch, channels, height, width) in memory of the host and the engine's own, channels last
// where the device has it.
#pragma once

#include <vector>

#include "model/run.h"

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

// values [1 or images, channels, height, width] → [images, height, width, channels]; one image serves all.
inline Array channels_last(const model::Run& run, const float* values, int64_t images, Shape shape) {
  Array result = run.backend.host().take(shape);
  const int64_t one = shape.elements() / shape[0];
  for (int64_t i = 0; i < shape[0]; ++i) to_channels_last(values + (images == 1 ? 0 : i) * one, result.view().item(i));
  return run.backend.to_device(std::move(result), DType::f32);
}

// [batch, height, width, channels] → [batch, channels, height, width]
inline std::vector<float> channels_first(const model::Run& run, ConstTensor tensor) {
  std::vector<float> result(size_t(tensor.elements()));
  to_channels_first(run.backend.view(tensor).values, result.data());
  return result;
}

}  // namespace sdxl::engine
