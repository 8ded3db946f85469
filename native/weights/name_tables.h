// What modules are called in the original SGM and OpenCLIP code, which single files follow, and in Diffusers and transformers. The tables
// are read both ways: left to right when a single file is opened, right to left when one is written.
#pragma once

#include "weights/name_parts.h"

namespace sdxl::weights {

inline constexpr Renaming kUnetFixed[] = {
    {"time_embed.0.", "time_embedding.linear_1."},
    {"time_embed.2.", "time_embedding.linear_2."},
    {"label_emb.0.0.", "add_embedding.linear_1."},
    {"label_emb.0.2.", "add_embedding.linear_2."},
    {"input_blocks.0.0.", "conv_in."},
    {"out.0.", "conv_norm_out."},
    {"out.2.", "conv_out."},
};
inline constexpr Renaming kUnetResnet[] = {
    {"in_layers.0.", "norm1."},  {"in_layers.2.", "conv1."},  {"emb_layers.1.", "time_emb_proj."},
    {"out_layers.0.", "norm2."}, {"out_layers.3.", "conv2."}, {"skip_connection.", "conv_shortcut."},
};

inline constexpr Renaming kVaeResnet[] = {{"nin_shortcut.", "conv_shortcut."}};
inline constexpr Renaming kVaeAttention[] = {{"norm.", "group_norm."}, {"q.", "to_q."}, {"k.", "to_k."}, {"v.", "to_v."}, {"proj_out.", "to_out.0."}};
inline constexpr Renaming kVaeOther[] = {{"norm_out.", "conv_norm_out."}};

inline constexpr Renaming kOpenClipFixed[] = {
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.", "text_model.final_layer_norm."},
};
inline constexpr Renaming kOpenClipLayer[] = {
    {"ln_1.", "layer_norm1."}, {"ln_2.", "layer_norm2."}, {"mlp.c_fc.", "mlp.fc1."}, {"mlp.c_proj.", "mlp.fc2."}, {"attn.out_proj.", "self_attn.out_proj."},
};

}  // namespace sdxl::weights
