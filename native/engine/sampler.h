// Executes a sampling plan: model calls, guidance, and linear combinations between them. Knows no sampler by name.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/noise.h"
#include "engine/plan.h"
#include "engine/prompt_schedule.h"
#include "model/unet.h"

namespace sdxl::engine {

enum class Prediction { epsilon, v };

// Which network a call asks, and what.
struct NetworkCall {
  const model::Unet* unet;
  Prediction prediction;
  const CallItems* items;
};

// Of guidance, how much of what points the way of the conditional estimate stays, how long it may be (0: as it is), and what share of earlier
// calls' it goes on with. Sadat et al. 2024; see ops::Project.
struct Projection {
  double eta = 1, limit = 0, momentum = 0;
};

struct Sampling {
  const Plan& plan;
  std::function<NetworkCall(size_t call)> network;  // of the plan's k-th call; what it points to has to stay until the next
  double rescale;                                   // share of guidance rescale, 0: none; see ops::Rescale
  std::optional<Projection> projection;             // in place of rescale
  Noise& noise;
  // [images, height, width, channels]; init and extra may be no tensor. extra: what networks that read more than latents read behind them.
  ConstTensor start, init, extra;
  ConstTensor mask;  // [height, width], for masked writes
  // Behind the last part of each of the user's steps. denoised: of the last call, no tensor before there was one.
  std::function<void(int index, double sigma, ConstTensor denoised)> on_step;
};

// The final register x: latents [images, height, width, channels].
Array sample(const model::Run& run, const Sampling& sampling);

}  // namespace sdxl::engine
