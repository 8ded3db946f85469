// The tensors of a small SDXL under both namings, written down independently of the name maps they test: the rules here go from Diffusers'
// names to those of the single file, the maps go the other way.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weights/test_files.h"

namespace sdxl::weights::test {

using Tensors = std::vector<TestTensor>;

struct TensorList {
  Tensors tensors;
  uint32_t state = 1;

  void add(const std::string& name, std::vector<int64_t> shape) {
    int64_t elements = 1;
    for (const int64_t d : shape) elements *= d;
    std::string bytes(size_t(elements) * 2, '\0');
    for (char& byte : bytes) byte = char((state = state * 1664525 + 1013904223) >> 24);  // no two tensors alike
    tensors.push_back({name, std::move(shape), std::move(bytes)});
  }
  void with_bias(const std::string& name, std::vector<int64_t> shape) {
    const int64_t out = shape[0];
    add(name + ".weight", std::move(shape));
    add(name + ".bias", {out});
  }
  void resnet(const std::string& name, int64_t in, int64_t out, int64_t time) {
    with_bias(name + ".norm1", {in});
    with_bias(name + ".conv1", {out, in, 3, 3});
    if (time) with_bias(name + ".time_emb_proj", {out, time});
    with_bias(name + ".norm2", {out});
    with_bias(name + ".conv2", {out, out, 3, 3});
    if (in != out) with_bias(name + ".conv_shortcut", {out, in, 1, 1});
  }
  void transformer(const std::string& name, int64_t c, int depth, int64_t cross) {
    with_bias(name + ".norm", {c});
    with_bias(name + ".proj_in", {c, c});
    with_bias(name + ".proj_out", {c, c});
    for (int i = 0; i < depth; ++i) {
      const std::string block = name + ".transformer_blocks." + std::to_string(i);
      for (const char* norm : {".norm1", ".norm2", ".norm3"}) with_bias(block + norm, {c});
      for (const char* attention : {".attn1", ".attn2"}) {
        const int64_t keys = attention == std::string(".attn1") ? c : cross;
        add(block + attention + ".to_q.weight", {c, c});
        add(block + attention + ".to_k.weight", {c, keys});
        add(block + attention + ".to_v.weight", {c, keys});
        with_bias(block + attention + ".to_out.0", {c, c});
      }
      with_bias(block + ".ff.net.0.proj", {8 * c, c});
      with_bias(block + ".ff.net.2", {c, 4 * c});
    }
  }
};

struct UnetShape {
  std::vector<int64_t> widths;
  std::vector<int> depths;  // of the transformers per level; 0 = a level without
  int resnets = 2;
  int64_t cross = 6, pooled = 5;
};

// Diffusers' names, of UNet2DConditionModel.
inline Tensors unet_tensors(const UnetShape& u) {
  TensorList list;
  const int64_t first = u.widths.front(), last = u.widths.back(), time = 4 * first;
  const int levels = int(u.widths.size());
  list.with_bias("conv_in", {first, 4, 3, 3});
  list.with_bias("time_embedding.linear_1", {time, first});
  list.with_bias("time_embedding.linear_2", {time, time});
  list.with_bias("add_embedding.linear_1", {time, 1536 + u.pooled});
  list.with_bias("add_embedding.linear_2", {time, time});
  std::vector<int64_t> skips = {first};
  int64_t c = first;
  for (int i = 0; i < levels; ++i) {
    const std::string level = "down_blocks." + std::to_string(i);
    for (int j = 0; j < u.resnets; ++j, skips.push_back(c)) {
      list.resnet(level + ".resnets." + std::to_string(j), c, u.widths[size_t(i)], time);
      c = u.widths[size_t(i)];
      if (u.depths[size_t(i)]) list.transformer(level + ".attentions." + std::to_string(j), c, u.depths[size_t(i)], u.cross);
    }
    if (i + 1 == levels) break;
    list.with_bias(level + ".downsamplers.0.conv", {c, c, 3, 3});
    skips.push_back(c);
  }
  list.resnet("mid_block.resnets.0", last, last, time);
  list.transformer("mid_block.attentions.0", last, std::max(1, u.depths.back()), u.cross);
  list.resnet("mid_block.resnets.1", last, last, time);
  for (int i = 0; i < levels; ++i) {
    const std::string level = "up_blocks." + std::to_string(i);
    const int64_t width = u.widths[size_t(levels - 1 - i)];
    const int depth = u.depths[size_t(levels - 1 - i)];
    for (int j = 0; j <= u.resnets; ++j) {
      list.resnet(level + ".resnets." + std::to_string(j), c + skips.back(), width, time);
      skips.pop_back();
      c = width;
      if (depth) list.transformer(level + ".attentions." + std::to_string(j), c, depth, u.cross);
    }
    if (i + 1 < levels) list.with_bias(level + ".upsamplers.0.conv", {c, c, 3, 3});
  }
  list.with_bias("conv_norm_out", {first});
  list.with_bias("conv_out", {4, first, 3, 3});
  return list.tensors;
}

// Of AutoencoderKL.
inline Tensors vae_tensors(const std::vector<int64_t>& widths, int resnets = 2) {
  TensorList list;
  const int levels = int(widths.size());
  const auto middle = [&](const std::string& side, int64_t c) {
    list.resnet(side + ".mid_block.resnets.0", c, c, 0);
    list.with_bias(side + ".mid_block.attentions.0.group_norm", {c});
    for (const char* projection : {"to_q", "to_k", "to_v", "to_out.0"}) list.with_bias(side + ".mid_block.attentions.0." + projection, {c, c});
    list.resnet(side + ".mid_block.resnets.1", c, c, 0);
  };
  int64_t c = widths.front();
  list.with_bias("encoder.conv_in", {c, 3, 3, 3});
  for (int i = 0; i < levels; ++i) {
    const std::string level = "encoder.down_blocks." + std::to_string(i);
    for (int j = 0; j < resnets; ++j, c = widths[size_t(i)]) list.resnet(level + ".resnets." + std::to_string(j), c, widths[size_t(i)], 0);
    if (i + 1 < levels) list.with_bias(level + ".downsamplers.0.conv", {c, c, 3, 3});
  }
  middle("encoder", c);
  list.with_bias("encoder.conv_norm_out", {c});
  list.with_bias("encoder.conv_out", {8, c, 3, 3});
  list.with_bias("quant_conv", {8, 8, 1, 1});
  list.with_bias("post_quant_conv", {4, 4, 1, 1});
  list.with_bias("decoder.conv_in", {c, 4, 3, 3});
  middle("decoder", c);
  for (int i = 0; i < levels; ++i) {
    const std::string level = "decoder.up_blocks." + std::to_string(i);
    const int64_t width = widths[size_t(levels - 1 - i)];
    for (int j = 0; j <= resnets; ++j, c = width) list.resnet(level + ".resnets." + std::to_string(j), c, width, 0);
    if (i + 1 < levels) list.with_bias(level + ".upsamplers.0.conv", {c, c, 3, 3});
  }
  list.with_bias("decoder.conv_norm_out", {c});
  list.with_bias("decoder.conv_out", {3, c, 3, 3});
  return list.tensors;
}

// Of CLIPTextModel, and with `projection` of CLIPTextModelWithProjection.
inline Tensors text_tensors(int64_t width, int layers, int64_t vocabulary, int64_t positions, int64_t projection) {
  TensorList list;
  list.add("text_model.embeddings.token_embedding.weight", {vocabulary, width});
  list.add("text_model.embeddings.position_embedding.weight", {positions, width});
  for (int i = 0; i < layers; ++i) {
    const std::string layer = "text_model.encoder.layers." + std::to_string(i);
    for (const char* p : {"q_proj", "k_proj", "v_proj", "out_proj"}) list.with_bias(layer + ".self_attn." + p, {width, width});
    list.with_bias(layer + ".layer_norm1", {width});
    list.with_bias(layer + ".layer_norm2", {width});
    list.with_bias(layer + ".mlp.fc1", {4 * width, width});
    list.with_bias(layer + ".mlp.fc2", {width, 4 * width});
  }
  list.with_bias("text_model.final_layer_norm", {width});
  if (projection) list.add("text_projection.weight", {projection, width});
  return list.tensors;
}

// ---- Diffusers' names → those of the single file -----------------------------------------------------------------------------------------

using Rules = std::vector<std::pair<std::string_view, std::string_view>>;

inline std::string rewritten(std::string name, const Rules& rules) {
  for (const auto& [from, to] : rules)
    if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  return name;
}

// "down_blocks.2.resnets.1.conv1.weight" in its parts.
struct BlockName {
  std::string side, kind, rest;
  int level = 0, index = 0;
};
inline BlockName block_name(const std::string& name) {
  BlockName block;
  std::istringstream parts(name);
  std::string level, index;
  for (std::string* part : {&block.side, &level, &block.kind, &index}) std::getline(parts, *part, '.');
  std::getline(parts, block.rest);
  block.level = std::atoi(level.c_str());
  block.index = std::atoi(index.c_str());
  return block;
}

inline std::string sgm_unet_name(const std::string& name, const UnetShape& u) {
  const auto [side, kind, rest, level, index] = block_name(name);
  const int first = (u.resnets + 1) * level;
  const std::string child = kind == "resnets" ? ".0." : ".1.";
  std::string out = name;
  if (side == "down_blocks") {
    if (kind == "downsamplers") return "input_blocks." + std::to_string(first + u.resnets + 1) + ".0.op." + rest.substr(sizeof("conv"));
    out = "input_blocks." + std::to_string(first + index + 1) + child + rest;
  } else if (side == "up_blocks") {
    const bool attention = u.depths[u.depths.size() - 1 - size_t(level)] > 0;
    if (kind == "upsamplers") return "output_blocks." + std::to_string(first + u.resnets) + (attention ? ".2." : ".1.") + rest;
    out = "output_blocks." + std::to_string(first + index) + child + rest;
  }
  if (name.find(".attentions.") != std::string::npos) return rewritten(out, {{"mid_block.attentions.0", "middle_block.1"}});
  return rewritten(out, {{"mid_block.resnets.0", "middle_block.0"},
                         {"mid_block.resnets.1", "middle_block.2"},
                         {".norm1.", ".in_layers.0."},
                         {".conv1.", ".in_layers.2."},
                         {".time_emb_proj.", ".emb_layers.1."},
                         {".norm2.", ".out_layers.0."},
                         {".conv2.", ".out_layers.3."},
                         {".conv_shortcut.", ".skip_connection."},
                         {"conv_in.", "input_blocks.0.0."},
                         {"conv_norm_out.", "out.0."},
                         {"conv_out.", "out.2."},
                         {"time_embedding.linear_1", "time_embed.0"},
                         {"time_embedding.linear_2", "time_embed.2"},
                         {"add_embedding.linear_1", "label_emb.0.0"},
                         {"add_embedding.linear_2", "label_emb.0.2"}});
}

inline std::string sgm_vae_name(const std::string& name, int levels) {
  constexpr std::string_view kUp = "decoder.up_blocks.";
  std::string out = name;
  if (name.starts_with(kUp)) out = "decoder.up." + std::to_string(levels - 1 - (name[kUp.size()] - '0')) + name.substr(kUp.size() + 1);
  return rewritten(out, {{"encoder.down_blocks.", "encoder.down."},
                         {"mid_block.resnets.0", "mid.block_1"},
                         {"mid_block.resnets.1", "mid.block_2"},
                         {".resnets.", ".block."},
                         {"downsamplers.0", "downsample"},
                         {"upsamplers.0", "upsample"},
                         {"conv_shortcut", "nin_shortcut"},
                         {"conv_norm_out", "norm_out"},
                         {"mid_block.attentions.0.group_norm", "mid.attn_1.norm"},
                         {"mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"},
                         {"mid_block.attentions.0.to_", "mid.attn_1."}});
}

inline Tensors sgm_unet(Tensors tensors, const UnetShape& shape) {
  for (TestTensor& t : tensors) t.name = sgm_unet_name(t.name, shape);
  return tensors;
}

inline Tensors sgm_vae(Tensors tensors, int levels) {
  for (TestTensor& t : tensors) {
    t.name = sgm_vae_name(t.name, levels);
    if (t.name.find("attn_1") != std::string::npos && t.shape.size() == 2) t.shape = {t.shape[0], t.shape[1], 1, 1};
  }
  return tensors;
}

// q, k and v become one tensor. The projection keeps its bytes and swaps its dimensions: the same bytes then mean the transposed matrix.
inline Tensors open_clip_text(const Tensors& tensors) {
  Tensors out;
  for (TestTensor t : tensors) {
    t.name = rewritten(t.name, {{"text_model.encoder.layers.", "transformer.resblocks."},
                                {"text_model.embeddings.token_embedding", "token_embedding"},
                                {"text_model.embeddings.position_embedding.weight", "positional_embedding"},
                                {"text_model.final_layer_norm", "ln_final"},
                                {"layer_norm1", "ln_1"},
                                {"layer_norm2", "ln_2"},
                                {"mlp.fc1", "mlp.c_fc"},
                                {"mlp.fc2", "mlp.c_proj"},
                                {"self_attn.out_proj", "attn.out_proj"},
                                {"text_projection.weight", "text_projection"}});
    if (t.name == "text_projection") std::reverse(t.shape.begin(), t.shape.end());
    if (const size_t at = t.name.find("self_attn."); at != std::string::npos) {
      const std::string fused = t.name.substr(0, at) + "attn.in_proj_" + t.name.substr(t.name.rfind('.') + 1);
      const auto begun = std::find_if(out.begin(), out.end(), [&](const TestTensor& o) { return o.name == fused; });
      if (begun != out.end()) {
        begun->shape[0] += t.shape[0];
        begun->bytes += t.bytes;
        continue;
      }
      t.name = fused;
    }
    out.push_back(std::move(t));
  }
  return out;
}

inline Tensors prefixed(const std::string& prefix, Tensors tensors) {
  for (TestTensor& t : tensors) t.name = prefix + t.name;
  return tensors;
}

inline Tensors operator+(Tensors a, const Tensors& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace sdxl::weights::test
