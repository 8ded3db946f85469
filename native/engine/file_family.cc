#include "engine/file_family.h"

#include <algorithm>
#include <map>

#include "weights/taesd_names.h"

namespace sdxl::engine {

namespace {

using weights::Safetensors;
using weights::SafetensorsEntry;

// What metadata says of itself: modelspec.architecture, or the base model that kohya's trainer notes.
struct Architecture {
  std::string_view start, family;
};
constexpr Architecture kArchitectures[] = {
    {"stable-diffusion-xl-v1-refiner", "sdxl-refiner"},
    {"stable-diffusion-xl-v1", "sdxl"},
    {"stable-diffusion-v1", "sd1"},
    {"stable-diffusion-v2", "sd2"},
    {"stable-diffusion-v3", "sd3"},
    {"flux", "flux"},
    {"sdxl", "sdxl"},
    {"sd_v1", "sd1"},
    {"sd_v2", "sd2"},
    {"sd3", "sd3"},
};

constexpr std::string_view kAdapterMarks[] = {".lora_down", ".lora_up", ".lora_A.", ".lora_B.", ".lora.down", ".lora.up",    "_lora.down", "_lora.up",
                                              ".hada_w1",   ".lokr_w1", ".lokr_w2", ".oft_",    ".diff_b",    ".dora_scale", ".boft_"};

class Names {
 public:
  explicit Names(const Safetensors& file) : file_(file) {}

  bool contain(std::string_view part) const {
    return std::any_of(file_.entries.begin(), file_.entries.end(), [&](const auto& e) { return e.name.find(part) != std::string::npos; });
  }
  bool contain_any(std::initializer_list<std::string_view> parts) const {
    return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) { return contain(part); });
  }
  bool start(std::string_view prefix) const {
    return std::any_of(file_.entries.begin(), file_.entries.end(), [&](const auto& e) { return e.name.starts_with(prefix); });
  }
  const SafetensorsEntry* find(std::string_view name) const {
    const auto found = std::find_if(file_.entries.begin(), file_.entries.end(), [&](const auto& e) { return e.name == name; });
    return found == file_.entries.end() ? nullptr : &*found;
  }
  bool fit_taesd() const {
    std::vector<std::string_view> names;
    for (const SafetensorsEntry& entry : file_.entries) names.push_back(entry.name);
    return weights::TaesdNames::fit(names);
  }

 private:
  const Safetensors& file_;
};

std::string family_by_metadata(const Safetensors& file) {
  for (const char* key : {"modelspec.architecture", "ss_base_model_version"}) {
    const auto said = file.metadata.find(key);
    if (said == file.metadata.end()) continue;
    for (const auto& [start, family] : kArchitectures)
      if (said->second.starts_with(start)) return std::string(family);
  }
  return "unknown";
}

std::string family_by_transformer(const Names& names) {
  if (names.contain_any({"double_blocks.", "double_blocks_", "single_transformer_blocks"})) return "flux";
  if (names.contain_any({"joint_blocks.", "joint_blocks_", "attn.add_k_proj", "attn_add_k_proj"})) return "sd3";
  return "unknown";
}

int64_t input_width(const SafetensorsEntry* entry) { return entry && entry->shape.size() >= 2 ? entry->shape[1] : 0; }

// What a cross-attention of the model reads, by the factors an adapter has for it; 0 when none is there.
int64_t adapted_context(const Safetensors& file, const Names& names) {
  for (const SafetensorsEntry& entry : file.entries) {
    const std::string_view name = entry.name;
    const size_t attention = name.find("attn2");
    if (attention == std::string_view::npos ||
        (name.find("to_k", attention) == std::string_view::npos && name.find("to_v", attention) == std::string_view::npos))
      continue;
    for (const std::string_view factor : {"lora_down", "lora_A", "lora.down", "hada_w1_b"})
      if (name.find(factor, attention) != std::string_view::npos && input_width(&entry) > 0) return input_width(&entry);
    // A Kronecker product: each factor is a matrix or a product of two.
    if (const size_t kind = name.find(".lokr_w"); kind != std::string_view::npos) {
      const std::string module(name.substr(0, kind));
      int64_t width = 1;
      for (const char* factor : {".lokr_w1", ".lokr_w2"})
        width *= std::max(input_width(names.find(module + factor)), input_width(names.find(module + factor + "_b")));
      if (width > 0) return width;
    }
  }
  return 0;
}

std::string adapter_family(const Safetensors& file, const Names& names) {
  if (const std::string family = family_by_transformer(names); family != "unknown") return family;
  const int64_t width = adapted_context(file, names);
  if (width == 2048) return "sdxl";
  if (width == 1280) return "sdxl-refiner";
  if (const std::string family = family_by_context(width); family != "unknown") return family;
  if (const std::string said = family_by_metadata(file); said != "unknown") return said;
  // A second text encoder, or a transformer deeper than one block, is SDXL's alone among the models with a UNet.
  const bool deep = names.contain_any({"_transformer_blocks_1_", ".transformer_blocks.1."});
  return deep || names.contain_any({"lora_te2_", "text_encoder_2."}) ? "sdxl" : "unknown";
}

std::string embedding_family(const Names& names) {
  if (names.find("clip_g")) return "sdxl";
  for (const char* name : {"emb_params", "clip_l"})
    if (const SafetensorsEntry* entry = names.find(name)) return entry->shape.empty() ? "unknown" : family_by_context(entry->shape.back());
  return "unknown";
}

// Diffusers calls the only tensor of an embedding by the word that stands for it.
bool is_lone_embedding(const Safetensors& file) {
  if (file.entries.size() != 1) return false;
  const auto& shape = file.entries[0].shape;
  return (shape.size() == 1 || (shape.size() == 2 && shape[0] <= 75)) && family_by_context(shape.back()) != "unknown";
}

}  // namespace

std::string family_by_context(int64_t width) { return width == 768 ? "sd1" : width == 1024 ? "sd2" : "unknown"; }

FileFamily family_of(const Safetensors& file) {
  const Names names(file);
  if (std::any_of(std::begin(kAdapterMarks), std::end(kAdapterMarks), [&](std::string_view mark) { return names.contain(mark); }))
    return {"lora", adapter_family(file, names)};
  if (names.find("clip_g") || names.find("clip_l") || names.find("emb_params")) return {"embedding", embedding_family(names)};
  if (is_lone_embedding(file)) return {"embedding", family_by_context(file.entries[0].shape.back())};
  if (names.start("control_model.") || names.start("controlnet_") || names.find("lora_controlnet")) return {"unknown", "unknown"};
  if (names.contain("cond_stage_model.transformer.")) return {"single-file", "sd1"};
  if (names.contain("cond_stage_model.model.")) return {"single-file", "sd2"};
  if (const std::string family = family_by_transformer(names); family != "unknown") return {"single-file", family};
  const bool unet = names.contain("input_blocks.0.0.weight") || names.find("conv_in.weight") || names.find("model.diffusion_model.conv_in.weight");
  if (unet || names.contain("conditioner.embedders.")) {
    const SafetensorsEntry* narrow = nullptr;  // a cross-attention of a model without size numbers
    if (!names.contain_any({"label_emb.", "add_embedding.", "conditioner.embedders."}))
      for (const SafetensorsEntry& entry : file.entries)
        if (entry.name.ends_with("attn2.to_k.weight")) narrow = &entry;
    return {"single-file", narrow ? family_by_context(input_width(narrow)) : ""};
  }
  if (names.contain("diffusion_model.")) return {"single-file", "unknown"};
  if (names.find("decoder.conv_in.weight") || names.find("first_stage_model.decoder.conv_in.weight")) return {"vae", family_by_metadata(file)};
  if (names.fit_taesd()) return {"vae", family_by_metadata(file)};
  return {};
}

}  // namespace sdxl::engine
