#include "engine/noise.h"

#include <algorithm>
#include <cmath>

#include "engine/layout.h"

namespace sdxl::engine {

namespace {

// x and other [channels, height, width]; x becomes sin((1 − t)·ω)/sin ω · x + sin(t·ω)/sin ω · other, ω the angle between two columns.
void spherical_mix(double t, int64_t channels, int64_t height, int64_t width, const std::vector<float>& other, std::vector<float>& x) {
  struct Column {
    double dot = 0, own = 0, others = 0;
    double cosine() const { return dot / std::sqrt(own * others); }
  };
  std::vector<Column> columns(size_t(channels * width));
  const auto column_of = [&](size_t i) { return i / size_t(height * width) * size_t(width) + i % size_t(width); };
  for (size_t i = 0; i < x.size(); ++i) {
    Column& c = columns[column_of(i)];
    c.dot += double(x[i]) * other[i], c.own += double(x[i]) * x[i], c.others += double(other[i]) * other[i];
  }
  double mean = 0;
  for (const Column& c : columns) mean += c.cosine() / double(columns.size());
  // Nearly the same noise: the order of the weights is A1111's.
  const bool parallel = mean > 0.9995;
  for (size_t i = 0; i < x.size(); ++i) {
    const double omega = std::acos(std::clamp(columns[column_of(i)].cosine(), -1., 1.)), sine = std::sin(omega);
    double own = 1 - t, others = t;
    if (parallel) std::swap(own, others);
    else if (sine > 1e-7) own = std::sin((1 - t) * omega) / sine, others = std::sin(t * omega) / sine;  // else a height of 1 has no angle
    x[i] = float(own * x[i] + others * other[i]);
  }
}

}  // namespace

Noise::Noise(Rng rng, std::vector<uint64_t> seeds, int64_t channels, int64_t height, int64_t width)
    : rng_(rng), seeds_(std::move(seeds)), channels_(channels), height_(height), width_(width) {}

void Noise::fill(size_t image, uint64_t index, std::vector<float>& values) {
  if (rng_ == Rng::philox) return Philox::normal(seeds_[image], index, values);
  streams_[image].normal(values);
}

Array Noise::start(Arena& arena, const std::optional<Variation>& variation) {
  Array noise = draw(arena, 0);
  if (!variation || variation->strength == 0) return noise;
  Noise other(rng_, variation->seeds, channels_, height_, width_);
  const Array others = other.draw(arena, 0);
  std::vector<float> x(size_t(channels_ * height_ * width_)), y(x.size());
  for (int64_t i = 0; i < int64_t(seeds_.size()); ++i) {
    to_channels_first(noise.view().item(i), x.data()), to_channels_first(others.view().item(i), y.data());
    spherical_mix(variation->strength, channels_, height_, width_, y, x);
    to_channels_last(x.data(), noise.view().item(i));
  }
  return noise;
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
