#include "weights/lora/architecture.h"

#include "core/json.h"
#include "weights/lora/key_parts.h"
#include "weights/lora/targets.h"

namespace sdxl::lora {

namespace {

struct Sign {
  std::vector<std::string_view> all;  // occur in the name, anywhere
  const char* family;
};

// The first that fits counts. Names that SDXL has are no signs, for these are found in the model.
const Sign kSigns[] = {
    {{"motion_modules_"}, "AnimateDiff (motion modules)"},
    {{"lora_controlnet"}, "a ControlNet (Control-LoRA)"},
    {{"input_hint_block_"}, "a ControlNet (Control-LoRA)"},
    {{"controlnet_"}, "a ControlNet"},
    {{"ip_adapter_"}, "an IP-Adapter"},
    {{"image_proj_"}, "an IP-Adapter"},
    {{"prior_unet_"}, "Stable Cascade"},
    {{"joint_transformer_blocks_"}, "AuraFlow"},
    {{"double_layers_"}, "AuraFlow"},
    {{"single_transformer_blocks_"}, "Flux"},
    {{"double_blocks_"}, "Flux (or HunyuanVideo, Chroma)"},
    {{"single_blocks_"}, "Flux (or HunyuanVideo, Chroma)"},
    {{"joint_blocks_"}, "Stable Diffusion 3"},
    {{"transformer_blocks_", "_img_mod_"}, "Qwen-Image"},
    {{"transformer_blocks_", "_txt_mod_"}, "Qwen-Image"},
    {{"transformer_blocks_", "_img_mlp_"}, "Qwen-Image"},
    {{"transformer_transformer_blocks_", "_attn_"}, "Stable Diffusion 3 or Flux"},
    {{"noise_refiner_"}, "Lumina or Z-Image"},
    {{"context_refiner_"}, "Lumina or Z-Image"},
    {{"layers_", "_attention_"}, "Lumina or Z-Image"},
    {{"blocks_", "_cross_attn_"}, "Wan (or another video model)"},
    {{"blocks_", "_self_attn_", "_ffn"}, "Wan (or another video model)"},
    {{"blocks_", "_attn1_Wqkv"}, "Hunyuan-DiT"},
    {{"transformer_transformer_blocks_"}, "a diffusion transformer (PixArt, LTX-Video or the like)"},
    {{"lora_te3_"}, "Stable Diffusion 3 or Flux"},
    {{"model_layers_", "_self_attn_q_proj"}, "a language model"},
    {{"model_layers_", "_mlp_gate_proj"}, "a language model"},
    // SDXL has no attention on the level of the largest pictures.
    {{"down_blocks_0_attentions_"}, "Stable Diffusion 1.x or 2.x"},
    {{"up_blocks_3_attentions_"}, "Stable Diffusion 1.x or 2.x"},
    {{"input_blocks_1_1_"}, "Stable Diffusion 1.x or 2.x"},
    {{"input_blocks_2_1_"}, "Stable Diffusion 1.x or 2.x"},
    {{"output_blocks_9_1_"}, "Stable Diffusion 1.x or 2.x"},
    {{"output_blocks_10_1_"}, "Stable Diffusion 1.x or 2.x"},
    {{"output_blocks_11_1_"}, "Stable Diffusion 1.x or 2.x"},
};

}  // namespace

std::string foreign_family(const Stranger& stranger) {
  for (const Sign& sign : kSigns) {
    size_t at = 0;
    for (const std::string_view word : sign.all)
      if (at != std::string::npos) at = stranger.name.find(word, at);
    if (at != std::string::npos) return sign.family;
  }
  return "";
}

std::string family_of(std::span<const weights::SafetensorsEntry> entries, const std::map<std::string, std::string>& metadata) {
  int64_t parts = 0;
  for (const weights::SafetensorsEntry& entry : entries) {
    const KeyParts key = key_parts(entry.name);
    if (key.part != Part::count && key.part != Part::weight) ++parts;
    if (key.part != Part::down || entry.shape.size() < 2 || !flattened(key.module).ends_with("attn2_to_k")) continue;
    switch (entry.shape[1]) {
      case 768: return "Stable Diffusion 1.x";
      case 1024: return "Stable Diffusion 2.x";
      case 1280: return "the SDXL refiner";
      case 2048: return "SDXL base";
      default: return "a UNet that reads text of width " + std::to_string(entry.shape[1]);
    }
  }
  if (parts == 0)
    for (const weights::SafetensorsEntry& entry : entries)
      for (const char* prefix : {"model.diffusion_model.", "first_stage_model.", "conditioner.embedders.", "down_blocks."})
        if (entry.name.starts_with(prefix)) return "a whole model, no LoRA";
  for (const char* name : {"modelspec.architecture", "ss_base_model_version"})
    if (const auto said = metadata.find(name); said != metadata.end() && !said->second.empty()) return "\"" + json::printable(said->second, 60) + "\"";
  if (parts > 0) return "another architecture";
  return "another purpose, no LoRA";
}

}  // namespace sdxl::lora
