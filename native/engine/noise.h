// The unit-normal noise of a batch: start noise and the draws that stochastic samplers add.
#pragma once

#include <cstdint>
#include <vector>

#include "core/arena.h"
#include "core/random.h"

namespace sdxl::engine {

enum class Rng { philox, torch_cpu };

class Noise {
 public:
  // Image i uses seeds[i], whatever the other images are.
  Noise(Rng rng, std::vector<uint64_t> seeds, int64_t channels, int64_t height, int64_t width);

  // Draw `index` of every image's generator, 0 being the start noise: [images, height, width, channels].
  Array draw(Arena& arena, uint64_t index);

 private:
  void fill(size_t image, uint64_t index, std::vector<float>& values);

  Rng rng_;
  std::vector<uint64_t> seeds_;
  int64_t channels_, height_, width_;
  // Torch's CPU generator is a stream: draws have to be made in order.
  std::vector<TorchCpu> streams_;
  uint64_t next_ = 0;
};

}  // namespace sdxl::engine
