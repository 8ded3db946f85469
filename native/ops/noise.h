// The unit-normal numbers of seeds, as torch's generator on GPUs draws them: draw `draw` of Philox::normal in core/random.h for each image.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace sdxl::ops {

struct Noise {
  std::vector<uint64_t> seeds;  // one for each image
  uint64_t draw;
  Tensor y;  // [images, height, width, channels]; the numbers of an image come in the order of [channels, height, width]
};

}  // namespace sdxl::ops
