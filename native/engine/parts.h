// The four networks of a model, built from names and shapes alone: says what a checkpoint lacks before a single value is read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/autoencoder.h"
#include "model/clip.h"
#include "model/unet.h"
#include "weights/checkpoint.h"

namespace sdxl::engine {

struct Parts {
  std::unique_ptr<model::Clip> text_encoder, text_encoder_2;
  std::unique_ptr<model::Unet> unet;
  std::unique_ptr<model::Autoencoder> vae;

  std::vector<std::string> absent;    // parts of which the checkpoint has no tensor at all
  std::vector<std::string> problems;  // tensors missing, of a wrong shape or left over; parts that do not fit each other

  // One text encoder and five size numbers.
  bool is_refiner() const;
};

// Parts that are absent stay null. The checkpoint has to outlive the result.
Parts build_parts(const weights::Checkpoint& checkpoint);

// Throws Error(model_unsupported) for a model trained with other noise levels than SDXL's.
void require_usual_noise(const weights::Checkpoint& checkpoint);

// Throws Error(model_format) that lists all that is missing or wrong. A refiner is complete without the first text encoder.
void require_complete(const std::string& path, const Parts& parts);

}  // namespace sdxl::engine
