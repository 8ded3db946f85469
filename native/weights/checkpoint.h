// A model on disk: a single file with the names of the original SGM code, or a folder as Diffusers saves it.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/mapped_file.h"
#include "weights/weight_reader.h"

namespace sdxl::weights {

struct Checkpoint {
  std::string path;
  std::string layout;  // "single-file" or "diffusers"

  // Tensors by their Diffusers/transformers names. A part that the model does not come with has none.
  // The refiner's only text encoder is text_encoder_2, as in Diffusers.
  Component unet{"unet", {}}, text_encoder{"text_encoder", {}}, text_encoder_2{"text_encoder_2", {}}, vae{"vae", {}};

  std::map<std::string, std::string> metadata;  // __metadata__ of the single file, or of the UNet's
  // Names of tensors that stand for a property, those of the file among: v_pred, ztsnr, edm_mean, edm_std, edm_vpred.sigma_min,
  // edm_vpred.sigma_max. A Diffusers scheduler configuration with rescale_betas_zero_snr counts as ztsnr.
  std::vector<std::string> markers;
  // What the UNet predicts: "epsilon" or "v". Said by, in this order: a marker or Diffusers' scheduler configuration, modelspec.prediction_type
  // in the metadata; "" when nothing says.
  std::string prediction;
  // From the configuration files of a Diffusers folder: what latents are multiplied with, 0 when nothing says, and the text encoders'
  // activation functions, "" when nothing says.
  double latent_scale = 0;
  std::string activation, activation_2;
  // A TAESD beside the VAE, see add_taesd; one in the VAE's place is in `vae`. By the names of weights::TaesdNames.
  Component taesd{"taesd", {}};
  int64_t ignored = 0;  // tensors that belong to no part: averaged weights, noise tables and the like

  std::vector<std::shared_ptr<const MappedFile>> files;  // keep the tensors' data alive

  std::array<const Component*, 4> components() const { return {&unet, &text_encoder, &text_encoder_2, &vae}; }
};

// Where the text encoders are taken from instead of the model itself; "": from the model.
struct TextEncoderPaths {
  std::string first = {}, second = {};
};

// `vae_path`: another VAE to use instead of the model's own, "" for none. It and the text encoders' are files (the part alone or a whole
// model, in either naming), folders of that part as Diffusers saves it, or folders of Diffusers models.
// Throws Error(model_not_found) for absent files, Error(model_format) for files and folders that are no part of any SDXL model or damaged,
// Error(model_unsupported) for a prediction type other than epsilon and v. Which parts and tensors a model needs is not checked here.
Checkpoint open_checkpoint(const std::string& path, const std::string& vae_path = "", const TextEncoderPaths& text_encoders = {});

// Adds the TAESD of a file (its decoder, its encoder or both, in any naming) or of a folder that Diffusers saved.
// Throws what open_checkpoint throws.
void add_taesd(Checkpoint& checkpoint, const std::string& path);

}  // namespace sdxl::weights
