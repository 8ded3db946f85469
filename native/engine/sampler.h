// Executes a sampling plan: model calls, guidance, and linear combinations between them. Knows no sampler by name.
#pragma once

#include <functional>

#include "engine/noise.h"
#include "engine/plan.h"
#include "model/unet.h"

namespace sdxl::engine {

enum class Prediction { epsilon, v };

struct Sampling {
  const Plan& plan;
  const model::Unet& unet;
  // Two items, unconditional first, for guidance; one item for a plain call. Classifier-free guidance: Ho & Salimans 2022.
  const model::UnetPrompt& prompt;
  double guidance;
  Prediction prediction;
  Noise& noise;
  ConstTensor start;                                     // unit-normal start noise [images, height, width, channels]
  std::function<void(int index, double sigma)> on_step;  // behind the last part of each of the user's steps
};

// The final register x: latents [images, height, width, channels].
Array sample(const model::Run& run, const Sampling& sampling);

}  // namespace sdxl::engine
