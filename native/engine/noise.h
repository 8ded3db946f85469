// The unit-normal noise of a batch: start noise and the draws that stochastic samplers add.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/random.h"
#include "model/run.h"

namespace sdxl::engine {

enum class Rng { philox, torch_cpu };

// Start noise between that of two seeds, for pictures that are nearly the same.
struct Variation {
  std::vector<uint64_t> seeds;  // one per image
  double strength;              // 0: as without, 1: the other seed's
};

class Noise {
 public:
  // Image i uses seeds[i], whatever the other images are.
  Noise(const model::Run& run, Rng rng, std::vector<uint64_t> seeds, int64_t channels, int64_t height, int64_t width);

  // Draw 0, or what lies between it and that of the variation's seeds. A1111's formula: along great circles, each column of each channel on
  // its own.
  Array start(const std::optional<Variation>& variation);

  // Draw `index` of every image's generator, 0 being the start noise: [images, height, width, channels].
  Array draw(uint64_t index);

 private:
  Array draw_torch_cpu(uint64_t index);
  Shape shape() const { return {int64_t(seeds_.size()), height_, width_, channels_}; }

  const model::Run& run_;
  Rng rng_;
  std::vector<uint64_t> seeds_;
  int64_t channels_, height_, width_;
  // Torch's CPU generator is a stream: draws have to be made in order.
  std::vector<TorchCpu> streams_;
  uint64_t next_ = 0;
};

}  // namespace sdxl::engine
