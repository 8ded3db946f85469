#include "weights/text_encoder_names.h"

#include "weights/name_tables.h"

namespace sdxl::weights {

OpenClipName open_clip_name(std::string_view name) {
  if (name == "logit_scale" || name == "attn_mask" || name.starts_with("visual.")) return {};
  if (name == "text_projection") return {.names = {"text_projection.weight"}, .transposed = true};
  std::string_view rest = name;
  if (!consume(rest, "transformer.resblocks.")) return {.names = {renamed(name, kOpenClipFixed)}};
  const int layer = consume_index(rest);
  if (layer < 0) return {.names = {std::string(name)}};
  const std::string prefix = "text_model.encoder.layers." + std::to_string(layer) + ".";
  if (!consume(rest, "attn.in_proj_")) return {.names = {prefix + renamed(rest, kOpenClipLayer)}};
  OpenClipName fused;
  for (const char* projection : {"q", "k", "v"}) fused.names.push_back(prefix + "self_attn." + projection + "_proj." + std::string(rest));
  return fused;
}

std::optional<std::string> transformers_name(std::string_view name) {
  if (name == "logit_scale" || name.ends_with("position_ids")) return {};
  const bool bare = name.starts_with("embeddings.") || name.starts_with("encoder.") || name.starts_with("final_layer_norm.");
  return bare ? "text_model." + std::string(name) : std::string(name);
}

}  // namespace sdxl::weights
