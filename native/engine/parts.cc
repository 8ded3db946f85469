#include "engine/parts.h"

#include <algorithm>

#include "model/taesd.h"
#include "model/vae.h"

namespace sdxl::engine {

namespace {

template <class Part, class... Extra>
std::unique_ptr<Part> build(const weights::Component& component, Parts& parts, Extra... extra) {
  if (component.tensors.empty()) {
    parts.absent.push_back(component.name);
    return nullptr;
  }
  auto part = std::make_unique<Part>(component, extra...);
  const auto problems = part->layers.reader.problems();
  parts.problems.insert(parts.problems.end(), problems.begin(), problems.end());
  return part;
}

// CLIP-L has the quick form, bigG the exact one, unless a configuration file says otherwise.
ops::Activation activation(const std::string& said, ops::Activation usual, const char* part, Parts& parts) {
  if (said.empty()) return usual;
  if (said == "quick_gelu") return ops::Activation::quick_gelu;
  if (said == "gelu") return ops::Activation::gelu;
  parts.problems.push_back(std::string(part) + ": config.json has hidden_act " + said + "; supported are quick_gelu and gelu");
  return usual;
}

std::string joined(const std::vector<std::string>& items, const char* between, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(items.size(), most); ++i) text += between + items[i];
  if (items.size() > most) text += between + ("and " + std::to_string(items.size() - most) + " more");
  return text.substr(std::char_traits<char>::length(between));
}

void check_agreement(Parts& p) {
  const auto compare = [&](const char* a, int64_t wanted, const char* b, int64_t found) {
    if (wanted != found) p.problems.push_back(std::string(a) + " is " + std::to_string(wanted) + " wide, " + b + " " + std::to_string(found));
  };
  const int64_t first = p.text_encoder ? p.text_encoder->width() : 0;
  if (p.vae || p.is_refiner())
    compare("unet: the context it reads", p.unet->context_width(), "what the text encoders give together", first + p.text_encoder_2->width());
  if (p.vae) compare("unet: what it predicts", p.unet->out_channels(), "the latents of the vae", p.vae->latent_channels());
}

}  // namespace

bool Parts::is_refiner() const { return !text_encoder && text_encoder_2 && unet && unet->size_numbers() == 5; }

Parts build_parts(const weights::Checkpoint& checkpoint) {
  Parts p;
  p.text_encoder = build<model::Clip>(checkpoint.text_encoder, p, activation(checkpoint.activation, ops::Activation::quick_gelu, "text_encoder", p));
  p.text_encoder_2 = build<model::Clip>(checkpoint.text_encoder_2, p, activation(checkpoint.activation_2, ops::Activation::gelu, "text_encoder_2", p));
  p.unet = build<model::Unet>(checkpoint.unet, p, p.text_encoder_2 ? p.text_encoder_2->projection() : 1280);
  if (model::Taesd::fits(checkpoint.vae)) p.vae = build<model::Taesd>(checkpoint.vae, p);
  else p.vae = build<model::Vae>(checkpoint.vae, p);
  if (p.vae && !p.vae->can_decode()) p.problems.push_back("vae: it is the encoder of a TAESD alone; the decoder is what makes pictures");
  if (p.text_encoder_2 && p.text_encoder_2->projection() == 0) p.problems.push_back("text_encoder_2: text_projection.weight is missing");
  if (p.problems.empty() && p.text_encoder_2 && p.unet) check_agreement(p);
  return p;
}

void require_usual_noise(const weights::Checkpoint& checkpoint) {
  for (const std::string& marker : checkpoint.markers)
    if (marker.starts_with("edm_"))
      throw Error(Code::model_unsupported,
                  checkpoint.path + " was trained with EDM's noise levels (it holds " + marker + "); supported are models with SDXL's own",
                  {{"path", checkpoint.path}, {"tensor", marker}});
}

void require_complete(const std::string& path, const Parts& parts) {
  std::vector<std::string> absent = parts.absent;
  if (parts.is_refiner()) std::erase(absent, "text_encoder");
  if (!absent.empty()) {
    std::vector<std::string> options;
    for (const std::string& part : absent)
      if (part != "unet") options.push_back(part == "vae" ? part : part == "text_encoder" ? "textEncoder" : "textEncoder2");
    throw Error(Code::model_format,
                path + " is not a complete SDXL model: it has no tensors of " + joined(absent, ", ", 4) +
                    ". Wanted is a single file with UNet, both text encoders and VAE, or a Diffusers folder with unet, text_encoder, text_encoder_2 and vae" +
                    (options.empty() ? "" : ". What lies elsewhere can be given to loadModel by the options " + joined(options, ", ", 3)),
                {{"path", path}, {"missing", absent}});
  }
  if (parts.problems.empty()) return;
  const int64_t count = int64_t(parts.problems.size());
  std::string message = path + " does not hold a working SDXL model; " + std::to_string(count) + (count == 1 ? " problem:\n  " : " problems:\n  ") +
                        joined(parts.problems, "\n  ", 5);
  std::vector<std::string> listed = parts.problems;
  listed.resize(std::min<size_t>(listed.size(), 50));
  throw Error(Code::model_format, std::move(message), {{"path", path}, {"count", count}, {"problems", std::move(listed)}});
}

}  // namespace sdxl::engine
