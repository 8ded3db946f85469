#include "weights/text_encoder_names.h"

#include "weights/name_parts.h"

namespace sdxl::weights {

namespace {

constexpr Renaming kFixed[] = {
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.", "text_model.final_layer_norm."},
};
constexpr Renaming kLayer[] = {
    {"ln_1.", "layer_norm1."}, {"ln_2.", "layer_norm2."}, {"mlp.c_fc.", "mlp.fc1."}, {"mlp.c_proj.", "mlp.fc2."}, {"attn.out_proj.", "self_attn.out_proj."},
};

}  // namespace

OpenClipName open_clip_name(std::string_view name) {
  if (name == "logit_scale" || name == "attn_mask" || name.starts_with("visual.")) return {};
  if (name == "text_projection") return {.names = {"text_projection.weight"}, .transposed = true};
  std::string_view rest = name;
  if (!consume(rest, "transformer.resblocks.")) return {.names = {renamed(name, kFixed)}};
  const int layer = consume_index(rest);
  if (layer < 0) return {.names = {std::string(name)}};
  const std::string prefix = "text_model.encoder.layers." + std::to_string(layer) + ".";
  if (!consume(rest, "attn.in_proj_")) return {.names = {prefix + renamed(rest, kLayer)}};
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
