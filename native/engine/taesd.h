// A TAESD beside the model's VAE, for previews.
#pragma once

#include <memory>
#include <string>

#include "engine/parts.h"
#include "model/taesd.h"

namespace sdxl::engine {

// Its tensors go into `checkpoint`, which has to outlive the result; it is not packed yet. Throws what open_checkpoint throws,
// Error(model_format) for one that is damaged or cannot decode, Error(model_unsupported) for one of other latents than `vae`.
std::unique_ptr<model::Taesd> open_taesd(const std::string& path, weights::Checkpoint& checkpoint, const model::Autoencoder& vae);

}  // namespace sdxl::engine
