// Sinusoidal embedding of numbers (timesteps, picture sizes): cosines first, frequencies 10000^(−i / (width / 2)).
// Diffusers: get_timestep_embedding with flip_sin_to_cos and no frequency shift, as SDXL's UNet has it.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace sdxl::ops {

struct Sinusoid {
  std::vector<float> values;  // [count]
  Tensor y;                   // [count, width], width even
};

}  // namespace sdxl::ops
