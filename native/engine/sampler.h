// Executes a sampling plan: model calls, guidance, and linear combinations between them. Knows no sampler by name.
#pragma once

#include <functional>
#include <vector>

#include "engine/noise.h"
#include "engine/plan.h"
#include "model/unet.h"

namespace sdxl::engine {

enum class Prediction { epsilon, v };

struct Sampling {
  const Plan& plan;
  const model::Unet& unet;
  // The network's prediction is the sum of those for each item of the prompt, times these weights. Classifier-free guidance (Ho & Salimans
  // 2022) has two items, the unconditional one with the weight 1 − guidance.
  const std::vector<double>& weights;
  // The prompt of the plan's k-th call, one item for each weight. It has to stay until the next call.
  std::function<const model::UnetPrompt&(size_t call)> prompt;
  Prediction prediction;
  Noise& noise;
  ConstTensor start;                                     // unit-normal start noise [images, height, width, channels]
  std::function<void(int index, double sigma)> on_step;  // behind the last part of each of the user's steps
};

// The final register x: latents [images, height, width, channels].
Array sample(const model::Run& run, const Sampling& sampling);

}  // namespace sdxl::engine
