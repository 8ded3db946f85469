#include "weights/checkpoint.h"

#include <algorithm>

#include "core/json.h"
#include "weights/components.h"
#include "weights/diffusers_folder.h"
#include "weights/name_parts.h"
#include "weights/taesd_names.h"

namespace sdxl::weights {

namespace {

constexpr std::string_view kMarkers[] = {"v_pred", "ztsnr", "edm_mean", "edm_std", "edm_vpred.sigma_min", "edm_vpred.sigma_max"};
constexpr const char* kUnusable = "not usable as a model";

// The tensors of a single file by what they belong to.
struct Parts {
  std::vector<PartEntry> unet, vae, clip_l, clip_g, open_clip_g;
  std::vector<std::string> markers;
  bool empty() const { return unet.empty() && vae.empty() && clip_l.empty() && clip_g.empty() && open_clip_g.empty(); }
  int64_t count() const { return int64_t(unet.size() + vae.size() + clip_l.size() + clip_g.size() + open_clip_g.size()); }
};

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Those of a text encoder alone, in either naming.
bool is_bare_transformers_name(std::string_view name) { return starts_with_any(name, {"text_model.", "text_projection."}); }
bool is_bare_open_clip_name(std::string_view name) {
  return starts_with_any(name, {"transformer.resblocks.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection"});
}

// Files of a UNet alone or a VAE alone often have no prefix.
bool is_bare_unet_name(std::string_view name) {
  return starts_with_any(name, {"input_blocks.", "middle_block.", "output_blocks.", "time_embed.", "label_emb.", "out.", "conv_in.", "conv_out.",
                                "conv_norm_out.", "down_blocks.", "mid_block.", "up_blocks.", "time_embedding.", "add_embedding."});
}
bool is_bare_vae_name(std::string_view name) {
  if (starts_with_any(name, {"quant_conv.", "post_quant_conv."})) return true;
  return (consume(name, "encoder.") || consume(name, "decoder.")) &&
         starts_with_any(name, {"conv_in.", "conv_out.", "conv_norm_out.", "norm_out.", "down.", "mid.", "up.", "down_blocks.", "mid_block.", "up_blocks."});
}

std::vector<PartEntry> all_entries(const Safetensors& file) {
  std::vector<PartEntry> entries;
  for (const SafetensorsEntry& entry : file.entries) entries.push_back({entry.name, &entry, &file.file->path()});
  return entries;
}

bool is_taesd(const std::vector<PartEntry>& entries) { return TaesdNames::fit(names_of(entries)); }

Parts sort_parts(const Safetensors& file) {
  Parts parts, bare;
  for (const SafetensorsEntry& entry : file.entries) {
    std::string_view name = entry.name;
    const auto to = [&](std::vector<PartEntry>& part) { part.push_back({name, &entry, &file.file->path()}); };
    if (std::find(std::begin(kMarkers), std::end(kMarkers), name) != std::end(kMarkers)) parts.markers.emplace_back(name);
    else if (consume(name, "model.diffusion_model.")) to(parts.unet);
    else if (consume(name, "first_stage_model.")) to(parts.vae);
    else if (consume(name, "conditioner.embedders.0.model.") || consume(name, "conditioner.embedders.1.model.")) to(parts.open_clip_g);
    else if (consume(name, "conditioner.embedders.0.transformer.text_model.")) to(parts.clip_l);
    else if (consume(name, "conditioner.embedders.1.transformer.")) to(parts.clip_g);
    else if (is_bare_unet_name(name)) to(bare.unet);
    else if (is_bare_vae_name(name)) to(bare.vae);
  }
  if (parts.unet.empty()) parts.unet = std::move(bare.unet);
  if (parts.vae.empty()) parts.vae = std::move(bare.vae);
  if (parts.empty())  // names of numbers alone mean this only where they are all that there is
    if (auto entries = all_entries(file); is_taesd(entries)) parts.vae = std::move(entries);
  return parts;
}

Error no_model(const std::string& path, const Safetensors& file, const std::string& looked_for) {
  std::string found = file.entries.empty() ? "it holds no tensors" : "its tensors have names like \"" + json::printable(file.entries[0].name) + "\"";
  if (std::any_of(file.entries.begin(), file.entries.end(), [](const auto& e) { return e.name.find("lora") != std::string::npos; }))
    found += "; it looks like a LoRA, which is used together with a model";
  Problems problems;
  problems.add("looked for " + looked_for);
  problems.add(std::move(found));
  return problems.error(path, kUnusable);
}

void add_vae_of(Checkpoint& checkpoint, const std::string& path, std::span<const PartEntry> entries, int64_t ignored) {
  Problems problems;
  checkpoint.ignored += ignored + add_vae(checkpoint.vae, entries, problems);
  problems.throw_if_any(path, kUnusable);
}

void keep(Checkpoint& checkpoint, const std::vector<Safetensors>& files) {
  for (const Safetensors& file : files) checkpoint.files.push_back(file.file);
}

// Where a part's weights lie: in a whole model's folder, or in one of the part alone.
std::string part_folder(const std::string& path, const std::string& part) {
  const std::string within = inside(path, part);
  return is_folder(within) ? within : path;
}

void add_other_vae(Checkpoint& checkpoint, const std::string& path) {
  if (!is_folder(path)) {
    const Safetensors file = open_safetensors(path);
    const Parts parts = sort_parts(file);
    if (parts.vae.empty()) throw no_model(path, file, "a VAE, with tensors named first_stage_model.decoder.… or decoder.…, or a TAESD");
    checkpoint.files.push_back(file.file);
    return add_vae_of(checkpoint, path, parts.vae, int64_t(file.entries.size() - parts.vae.size()));
  }
  const FolderWeights weights = open_component_folder(part_folder(path, "vae"), "diffusion_pytorch_model");
  keep(checkpoint, weights.files);
  add_vae_of(checkpoint, path, weights.entries, weights.ignored);
}

// `second`: bigG, which has two namings.
void add_text_encoder_file(Checkpoint& checkpoint, Component& component, const std::string& path, bool second) {
  const Safetensors file = open_safetensors(path);
  Parts parts = sort_parts(file);
  std::vector<PartEntry>& transformers = second ? parts.clip_g : parts.clip_l;
  std::vector<PartEntry>& open_clip = parts.open_clip_g;
  if (!second) open_clip.clear();
  if (transformers.empty() && open_clip.empty()) {
    const bool has_blocks = std::any_of(file.entries.begin(), file.entries.end(), [](const auto& e) { return e.name.starts_with("transformer.resblocks."); });
    for (const SafetensorsEntry& entry : file.entries) {
      const PartEntry part{entry.name, &entry, &file.file->path()};
      if (second && has_blocks && is_bare_open_clip_name(entry.name)) open_clip.push_back(part);
      else if (!has_blocks && is_bare_transformers_name(entry.name)) transformers.push_back(part);
    }
  }
  if (transformers.empty() && open_clip.empty())
    throw no_model(path, file,
                   second ? "SDXL's second text encoder, with tensors named conditioner.embedders.1.… or text_model.…"
                          : "SDXL's first text encoder, with tensors named conditioner.embedders.0.transformer.text_model.… or text_model.…");
  Problems problems;
  checkpoint.ignored += int64_t(file.entries.size() - transformers.size() - open_clip.size());
  checkpoint.ignored += add_transformers_text(component, transformers, problems) + add_open_clip_text(component, open_clip, problems);
  problems.throw_if_any(path, kUnusable);
  checkpoint.files.push_back(file.file);
}

void add_other_text_encoder(Checkpoint& checkpoint, Component& component, std::string& activation, const std::string& path) {
  component.tensors.clear();
  activation.clear();
  if (!is_folder(path)) return add_text_encoder_file(checkpoint, component, path, &component == &checkpoint.text_encoder_2);
  const std::string folder = part_folder(path, component.name);
  const FolderWeights weights = open_component_folder(folder, "model");
  Problems problems;
  checkpoint.ignored += weights.ignored + add_transformers_text(component, weights.entries, problems);
  problems.throw_if_any(path, kUnusable);
  keep(checkpoint, weights.files);
  activation = read_activation(folder);
}

void add_single_file(Checkpoint& checkpoint, bool own_vae) {
  Safetensors file = open_safetensors(checkpoint.path);
  Parts parts = sort_parts(file);
  if (parts.empty())
    throw no_model(checkpoint.path, file, "a UNet (model.diffusion_model.…), text encoders (conditioner.embedders.…) and a VAE (first_stage_model.…)");
  if (!own_vae) parts.vae.clear();

  Problems problems;
  checkpoint.ignored += int64_t(file.entries.size()) - parts.count() - int64_t(parts.markers.size());
  checkpoint.ignored += add_unet(checkpoint.unet, parts.unet, problems);
  checkpoint.ignored += add_transformers_text(checkpoint.text_encoder, parts.clip_l, problems);
  checkpoint.ignored += add_transformers_text(checkpoint.text_encoder_2, parts.clip_g, problems);
  checkpoint.ignored += add_open_clip_text(checkpoint.text_encoder_2, parts.open_clip_g, problems);
  checkpoint.ignored += add_vae(checkpoint.vae, parts.vae, problems);
  problems.throw_if_any(checkpoint.path, kUnusable);

  checkpoint.layout = "single-file";
  checkpoint.metadata = std::move(file.metadata);
  checkpoint.markers = std::move(parts.markers);
  checkpoint.files.push_back(std::move(file.file));
}

void add_diffusers_folder(Checkpoint& checkpoint, bool own_vae) {
  struct Kind {
    Component& component;
    const char* stem;
    int64_t (*add)(Component&, std::span<const PartEntry>, Problems&);
  };
  const Kind kinds[] = {
      {checkpoint.unet, "diffusion_pytorch_model", add_unet},
      {checkpoint.text_encoder, "model", add_transformers_text},
      {checkpoint.text_encoder_2, "model", add_transformers_text},
      {checkpoint.vae, "diffusion_pytorch_model", add_vae},
  };
  if (std::none_of(std::begin(kinds), std::end(kinds), [&](const Kind& kind) { return is_folder(inside(checkpoint.path, kind.component.name)); })) {
    Problems problems;
    problems.add("looked for the folders unet, text_encoder, text_encoder_2 and vae, found " + listing(checkpoint.path));
    problems.add("for a single file give the path of the file itself");
    throw problems.error(checkpoint.path, "not a Diffusers model folder");
  }

  Problems problems;
  for (const Kind& kind : kinds) {
    if (&kind.component == &checkpoint.vae && !own_vae) continue;
    FolderWeights weights = open_component_folder(inside(checkpoint.path, kind.component.name), kind.stem);
    checkpoint.ignored += weights.ignored + kind.add(kind.component, weights.entries, problems);
    keep(checkpoint, weights.files);
    if (&kind.component == &checkpoint.unet)
      for (Safetensors& file : weights.files) checkpoint.metadata.merge(file.metadata);
  }
  problems.throw_if_any(checkpoint.path, kUnusable);
  checkpoint.layout = "diffusers";
  checkpoint.latent_scale = read_latent_scale(checkpoint.path);
  checkpoint.activation = read_activation(inside(checkpoint.path, "text_encoder"));
  checkpoint.activation_2 = read_activation(inside(checkpoint.path, "text_encoder_2"));
}

// "epsilon" or "v" for any of the names in use, "" for others.
std::string prediction_named(const std::string& name) {
  if (name == "epsilon" || name == "eps") return "epsilon";
  if (name == "v" || name == "v_prediction" || name == "v_pred") return "v";
  return "";
}

void find_prediction(Checkpoint& checkpoint) {
  std::string scheduler;
  if (checkpoint.layout == "diffusers") {
    const SchedulerConfig config = read_scheduler_config(checkpoint.path);
    if (config.scheduler.starts_with("EDM"))
      throw Error(Code::model_unsupported,
                  checkpoint.path + ": scheduler/scheduler_config.json names " + json::printable(config.scheduler) +
                      ", so the model was trained with EDM's noise levels; supported are models with SDXL's own",
                  {{"path", checkpoint.path}, {"found", config.scheduler}});
    scheduler = config.prediction_type;
    if (config.zero_terminal_snr) checkpoint.markers.push_back("ztsnr");
  }
  if (!scheduler.empty()) {
    checkpoint.prediction = prediction_named(scheduler);
    if (checkpoint.prediction.empty())
      throw Error(Code::model_unsupported,
                  checkpoint.path + ": scheduler/scheduler_config.json has prediction_type \"" + json::printable(scheduler) +
                      "\", supported are epsilon and v_prediction",
                  {{"path", checkpoint.path}, {"wanted", "epsilon or v_prediction"}, {"found", scheduler}});
  } else if (std::find(checkpoint.markers.begin(), checkpoint.markers.end(), "v_pred") != checkpoint.markers.end()) {
    checkpoint.prediction = "v";
  } else if (const auto said = checkpoint.metadata.find("modelspec.prediction_type"); said != checkpoint.metadata.end()) {
    checkpoint.prediction = prediction_named(said->second);
  }
}

}  // namespace

void add_taesd(Checkpoint& checkpoint, const std::string& path) {
  FolderWeights weights;
  if (is_folder(path)) weights = open_component_folder(part_folder(path, "vae"), "diffusion_pytorch_model");
  else weights.entries = all_entries(weights.files.emplace_back(open_safetensors(path)));
  if (!is_taesd(weights.entries))
    throw no_model(path, weights.files[0], "a TAESD, with tensors named decoder.layers.0.weight, taesd_decoder.1.weight or 1.weight, 3.conv.0.weight, …");
  Problems problems;
  checkpoint.ignored += weights.ignored + add_taesd(checkpoint.taesd, weights.entries, problems);
  problems.throw_if_any(path, kUnusable);
  keep(checkpoint, weights.files);
}

Checkpoint open_checkpoint(const std::string& path, const std::string& vae_path, const TextEncoderPaths& text_encoders) {
  Checkpoint checkpoint;
  checkpoint.path = path;
  const bool own_vae = vae_path.empty();
  if (is_folder(path)) add_diffusers_folder(checkpoint, own_vae);
  else add_single_file(checkpoint, own_vae);
  if (!own_vae) add_other_vae(checkpoint, vae_path);
  if (!text_encoders.first.empty()) add_other_text_encoder(checkpoint, checkpoint.text_encoder, checkpoint.activation, text_encoders.first);
  if (!text_encoders.second.empty()) add_other_text_encoder(checkpoint, checkpoint.text_encoder_2, checkpoint.activation_2, text_encoders.second);
  find_prediction(checkpoint);
  return checkpoint;
}

}  // namespace sdxl::weights
