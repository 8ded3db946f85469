#include "engine/noise.h"

#include "engine/layout.h"

namespace sdxl::engine {

Noise::Noise(Rng rng, std::vector<uint64_t> seeds, int64_t channels, int64_t height, int64_t width)
    : rng_(rng), seeds_(std::move(seeds)), channels_(channels), height_(height), width_(width) {}

void Noise::fill(size_t image, uint64_t index, std::vector<float>& values) {
  if (rng_ == Rng::philox) return Philox::normal(seeds_[image], index, values);
  streams_[image].normal(values);
}

Array Noise::draw(Arena& arena, uint64_t index) {
  std::vector<float> values(size_t(channels_ * height_ * width_));
  if (rng_ == Rng::torch_cpu && (streams_.empty() || index < next_)) {
    streams_.clear();
    for (const uint64_t seed : seeds_) streams_.emplace_back(seed);
    next_ = 0;
  }
  if (rng_ == Rng::torch_cpu)
    for (; next_ < index; ++next_)
      for (size_t i = 0; i < seeds_.size(); ++i) fill(i, next_, values);

  Array noise = arena.take({int64_t(seeds_.size()), height_, width_, channels_});
  for (size_t i = 0; i < seeds_.size(); ++i) {
    fill(i, index, values);
    to_channels_last(values.data(), noise.view().item(int64_t(i)));
  }
  next_ = index + 1;
  return noise;
}

}  // namespace sdxl::engine
