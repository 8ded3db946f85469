#include "engine/noise.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/layout.h"

namespace sdxl::engine {

namespace {

// x and other [channels, height, width]; x becomes sin((1 − t)·ω)/sin ω · x + sin(t·ω)/sin ω · other, ω the angle between two columns.
void spherical_mix(double t, int64_t channels, int64_t height, int64_t width, std::span<const float> other, std::span<float> x) {
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

Noise::Noise(const model::Run& run, Rng rng, std::vector<uint64_t> seeds, int64_t channels, int64_t height, int64_t width)
    : run_(run), rng_(rng), seeds_(std::move(seeds)), channels_(channels), height_(height), width_(width) {}

Array Noise::start(const std::optional<Variation>& variation) {
  Array noise = draw(0);
  if (!variation || variation->strength == 0) return noise;
  Noise other(run_, rng_, variation->seeds, channels_, height_, width_);
  const std::vector<float> others = channels_first(run_, other.draw(0));
  std::vector<float> own = channels_first(run_, noise);
  const size_t one = own.size() / seeds_.size();
  for (size_t i = 0; i < seeds_.size(); ++i)
    spherical_mix(variation->strength, channels_, height_, width_, std::span(others).subspan(i * one, one), std::span(own).subspan(i * one, one));
  return channels_last(run_, own.data(), shape()[0], shape());
}

Array Noise::draw(uint64_t index) {
  if (rng_ == Rng::torch_cpu) return draw_torch_cpu(index);
  Array noise = run_.take(shape());
  run_.backend.run(ops::Noise{seeds_, index, noise});
  return noise;
}

Array Noise::draw_torch_cpu(uint64_t index) {
  if (streams_.empty() || index < next_) {
    streams_.clear();
    for (const uint64_t seed : seeds_) streams_.emplace_back(seed);
    next_ = 0;
  }
  std::vector<float> values(size_t(shape().elements()));
  const size_t one = values.size() / seeds_.size();
  for (; next_ <= index; ++next_)
    for (size_t i = 0; i < seeds_.size(); ++i) streams_[i].normal(std::span(values).subspan(i * one, one));
  return channels_last(run_, values.data(), shape()[0], shape());
}

}  // namespace sdxl::engine
