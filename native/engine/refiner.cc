#include "engine/refiner.h"

#include <algorithm>

namespace sdxl::engine {

namespace {

void refuse_base(const std::string& path, const Parts& parts) {
  std::string found;
  if (parts.text_encoder && parts.text_encoder_2) found = "it has two text encoders, a refiner one";
  if (parts.unet && parts.unet->size_numbers() == 6) found += (found.empty() ? "" : "; ") + std::string("its UNet reads 6 size numbers, a refiner's 5");
  if (found.empty()) return;
  throw Error(Code::model_unsupported, path + " cannot be the refiner: " + found, {{"path", path}, {"field", std::string("refiner")}});
}

}  // namespace

Prediction prediction_of(const weights::Checkpoint& checkpoint) { return checkpoint.prediction == "v" ? Prediction::v : Prediction::epsilon; }

std::unique_ptr<Refiner> open_refiner(const std::string& path, int64_t channels) {
  auto refiner = std::make_unique<Refiner>();
  refiner->checkpoint = weights::open_checkpoint(path);
  refiner->checkpoint.vae.tensors.clear();  // pictures are decoded by the base model's
  Parts& parts = refiner->parts = build_parts(refiner->checkpoint);
  refuse_base(path, parts);
  for (const char* part : {"vae", "text_encoder"}) std::erase(parts.absent, part);
  if (!parts.absent.empty())
    throw Error(Code::model_format,
                path + " is not a complete SDXL refiner: it has no tensors of " + parts.absent[0] +
                    ". Wanted is a single file with UNet and text encoder, or a Diffusers folder with unet and text_encoder_2",
                {{"path", path}, {"missing", parts.absent}});
  require_complete(path, parts);
  require_usual_noise(refiner->checkpoint);
  for (const int64_t found : {parts.unet->in_channels(), parts.unet->out_channels()})
    if (found != channels)
      throw Error(Code::model_unsupported,
                  "the refiner " + path + " works on latents of " + std::to_string(found) + " channels, the base model's have " + std::to_string(channels),
                  {{"path", path}, {"found", found}, {"wanted", channels}});
  refiner->prediction = prediction_of(refiner->checkpoint);
  return refiner;
}

}  // namespace sdxl::engine
