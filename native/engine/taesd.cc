#include "engine/taesd.h"

#include "weights/problems.h"

namespace sdxl::engine {

std::unique_ptr<model::Taesd> open_taesd(const std::string& path, weights::Checkpoint& checkpoint, const model::Autoencoder& vae) {
  weights::add_taesd(checkpoint, path);
  auto taesd = std::make_unique<model::Taesd>(checkpoint.taesd);
  weights::Problems problems;
  for (const std::string& problem : taesd->layers.reader.problems()) problems.add(problem);
  if (problems.empty() && !taesd->can_decode()) problems.add("it holds an encoder only, and previews need the decoder; give the file of that");
  problems.throw_if_any(path, "not usable as a TAESD");
  const auto compare = [&](const std::string& what, int64_t found, int64_t wanted) {
    if (found != wanted)
      throw Error(Code::model_unsupported, path + ": this TAESD has " + std::to_string(found) + " " + what + ", the model's VAE " + std::to_string(wanted),
                  {{"path", path}, {"found", found}, {"wanted", wanted}});
  };
  compare("latent channels", taesd->latent_channels(), vae.latent_channels());
  compare("pixels per latent", taesd->scale(), vae.scale());
  return taesd;
}

}  // namespace sdxl::engine
