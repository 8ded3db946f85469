// Pictures of where a run stands, from its estimate of the clean latents.
#pragma once

#include "engine/pixels.h"

namespace sdxl::engine {

enum class PreviewMethod {
  linear,  // each latent becomes one pixel, so a side is that of the picture divided by the scale: no cost to speak of
  taesd,   // the model's TAESD
  vae,     // what the picture itself will be made with
};

struct PreviewRequest {
  int every = 0;  // of the user's steps; 0: no previews
  PreviewMethod method = PreviewMethod::linear;
};

// Throws Error(invalid_argument) unless the latents have SDXL's channels.
void require_linear_preview(int64_t latent_channels);
// latents [1, height, width, 4], the UNet's → pixels [1, height, width, 3].
Array linear_preview(const model::Run& run, ConstTensor latents);

}  // namespace sdxl::engine
