#include "weights/lora/module_names.h"

#include <algorithm>
#include <string_view>

#include "weights/name_tables.h"

namespace sdxl::lora {

namespace {

using weights::consume;
using weights::Renaming;

// Ends of names: of early Diffusers versions, and of layers whose q, k and v are one.
constexpr Renaming kEnds[] = {
    {"1.to_q", "1.processor.to_q"},
    {"2.to_q", "2.processor.to_q"},
    {"1.to_k", "1.processor.to_k"},
    {"2.to_k", "2.processor.to_k"},
    {"1.to_v", "1.processor.to_v"},
    {"2.to_v", "2.processor.to_v"},
    {"1.to_out.0", "1.processor.to_out"},
    {"2.to_out.0", "2.processor.to_out"},
    {".to_out.0", ".to_out"},
    {".q_proj", ".to_q"},
    {".k_proj", ".to_k"},
    {".v_proj", ".to_v"},
    {".out_proj", ".to_out"},
    {"_attn.in_proj", "_attn.qkv_proj"},
    {"_attn.in_proj", "_attn.qkv"},
    {"attn.in_proj", "attn.in_proj_weight"},
};

// A module by the table's left names; "" where it has none. The tables name tensors.
std::string renamed_module(std::string_view module, std::span<const Renaming> table) {
  const std::string tensor = std::string(module) + ".weight";
  std::string renamed = weights::renamed_back(tensor, table);
  if (renamed == tensor) return "";
  if (renamed.ends_with(".weight")) renamed.resize(renamed.size() - 7);
  return renamed;
}

std::string open_clip(std::string_view module) {
  if (std::string fixed = renamed_module(module, weights::kOpenClipFixed); !fixed.empty()) return fixed;
  if (!consume(module, "text_model.encoder.layers.")) return "";
  const int layer = weights::consume_index(module);
  const std::string inner = module == "self_attn.in_proj" ? "attn.in_proj" : renamed_module(module, weights::kOpenClipLayer);
  return layer < 0 || inner.empty() ? "" : "transformer.resblocks." + std::to_string(layer) + "." + inner;
}

}  // namespace

ModuleNames::ModuleNames(std::string component, const std::set<std::string>& modules) : unet_(component == "unet") {
  if (!unet_) return;
  const auto has = [&](const std::string& prefix) {
    const auto first = modules.lower_bound(prefix);
    return first != modules.end() && first->starts_with(prefix);
  };
  const auto add_side = [&](const std::string& side, const std::string& blocks, int number) {
    for (int level = 0; has(side + std::to_string(level) + "."); ++level) {
      const std::string name = side + std::to_string(level);
      bool attends = false;
      for (int i = 0; has(name + ".resnets." + std::to_string(i) + "."); ++i) {
        const std::string index = "." + std::to_string(i) + ".", block = blocks + std::to_string(number++);
        blocks_.emplace_back(name + ".resnets" + index, block + ".0.");
        attends = has(name + ".attentions" + index);
        if (attends) blocks_.emplace_back(name + ".attentions" + index, block + ".1.");
      }
      if (has(name + ".downsamplers.0.")) blocks_.emplace_back(name + ".downsamplers.0.", blocks + std::to_string(number++) + ".0.");
      // An upsampler belongs to the last block of its level.
      if (has(name + ".upsamplers.0.")) blocks_.emplace_back(name + ".upsamplers.0.", blocks + std::to_string(number - 1) + (attends ? ".2." : ".1."));
    }
  };
  add_side("down_blocks.", "input_blocks.", 1);
  add_side("up_blocks.", "output_blocks.", 0);
  for (int i = 0; i < 2; ++i) {
    blocks_.emplace_back("mid_block.resnets." + std::to_string(i) + ".", "middle_block." + std::to_string(2 * i) + ".");
    blocks_.emplace_back("mid_block.attentions." + std::to_string(i) + ".", "middle_block." + std::to_string(2 * i + 1) + ".");
  }
}

std::string ModuleNames::sgm(const std::string& module) const {
  for (const auto& [from, to] : blocks_) {
    std::string_view rest = module;
    if (!consume(rest, from)) continue;
    if (from.find(".downsamplers.") != std::string::npos) return rest == "conv" ? to + "op" : "";
    if (from.find(".resnets.") == std::string::npos) return to + std::string(rest);
    const std::string inner = renamed_module(rest, weights::kUnetResnet);
    return inner.empty() ? "" : to + inner;
  }
  return renamed_module(module, weights::kUnetFixed);
}

std::vector<std::string> ModuleNames::of(const std::string& module) const {
  std::vector<std::string> names = {module};
  if (unet_) {
    if (std::string name = sgm(module); !name.empty()) names.push_back(std::move(name));
  } else {
    if (std::string name = open_clip(module); !name.empty()) names.push_back(std::move(name));
    std::string_view rest = module;
    if (consume(rest, "text_model.")) names.emplace_back(rest);
  }
  for (size_t i = 0, count = names.size(); i < count; ++i)
    for (const auto& [from, to] : kEnds)
      if (names[i].ends_with(from)) names.push_back(names[i].substr(0, names[i].size() - from.size()) + std::string(to));
  return names;
}

std::vector<std::string> module_prefixes(const std::string& component) {
  std::vector<std::string> prefixes;
  const auto add = [&](std::initializer_list<const char*> before, std::initializer_list<const char*> names, std::initializer_list<const char*> behind) {
    for (const char* b : before)
      for (const char* n : names)
        for (const char* e : behind) prefixes.push_back(std::string(b) + n + e);
  };
  if (component == "unet") {
    add({"", "lora_", "lycoris_", "base_model_model_", "model_"}, {"", "unet_", "diffusion_model_"}, {"", "base_model_model_"});
  } else {
    const bool second = component == "text_encoder_2";
    const std::initializer_list<const char*> wrappers = {"", "lora_", "lycoris_", "base_model_model_", "text_encoders_"}, inner = {"", "base_model_model_"};
    if (second) {
      add(wrappers, {"te2_", "text_encoder_2_"}, inner);
      add(wrappers, {"clip_g_", "clip_g_transformer_"}, {""});
      add({"conditioner_embedders_"}, {"0_", "1_"}, {"model_", "transformer_"});
    } else {
      add(wrappers, {"te1_", "te_", "text_encoder_", "text_encoder_1_"}, inner);
      add(wrappers, {"clip_l_", "clip_l_transformer_"}, {""});
      add({"conditioner_embedders_0_"}, {"transformer_"}, {""});
    }
  }
  std::stable_sort(prefixes.begin(), prefixes.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return prefixes;
}

}  // namespace sdxl::lora
