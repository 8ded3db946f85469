// The model that finishes what a base model began: a network and a text encoder of its own, latents and VAE of the base.
#pragma once

#include <memory>
#include <string>

#include "engine/parts.h"
#include "engine/sampler.h"

namespace sdxl::engine {

struct Refiner {
  weights::Checkpoint checkpoint;
  Parts parts;  // without a VAE; not packed yet
  Prediction prediction = Prediction::epsilon;

  TextEncoders text_encoders() const { return {nullptr, *parts.text_encoder_2}; }
};

// What a checkpoint says, v or else epsilon.
Prediction prediction_of(const weights::Checkpoint& checkpoint);

// `channels`: of the base model's latents. Throws what open_checkpoint throws, Error(model_unsupported) for what is no refiner or one for
// other latents, Error(model_format) for one that is not complete.
std::unique_ptr<Refiner> open_refiner(const std::string& path, int64_t channels);

}  // namespace sdxl::engine
