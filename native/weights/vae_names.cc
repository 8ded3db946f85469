#include "weights/vae_names.h"

#include <algorithm>

#include "weights/name_tables.h"

namespace sdxl::weights {

namespace {

constexpr Renaming kEarlyAttention[] = {{"query.", "to_q."}, {"key.", "to_k."}, {"value.", "to_v."}, {"proj_attn.", "to_out.0."}};

}  // namespace

VaeNames::VaeNames(std::span<const std::string_view> names) {
  for (std::string_view name : names)
    if (consume(name, "decoder.up.")) decoder_levels_ = std::max(decoder_levels_, consume_index(name) + 1);
}

std::string VaeNames::operator()(std::string_view name) const {
  std::string_view rest = name;
  const bool encoder = consume(rest, "encoder.");
  if (!encoder && !consume(rest, "decoder.")) return std::string(name);
  const std::string side = encoder ? "encoder." : "decoder.";

  if (consume(rest, encoder ? "down." : "up.")) {
    const int index = consume_index(rest);
    if (index < 0) return std::string(name);
    const std::string level = side + (encoder ? "down_blocks." + std::to_string(index) : "up_blocks." + std::to_string(decoder_levels_ - 1 - index)) + ".";
    if (consume(rest, "block.")) {
      const int resnet = consume_index(rest);
      return resnet < 0 ? std::string(name) : level + "resnets." + std::to_string(resnet) + "." + renamed(rest, kVaeResnet);
    }
    if (consume(rest, encoder ? "downsample." : "upsample.")) return level + (encoder ? "downsamplers.0." : "upsamplers.0.") + std::string(rest);
    return std::string(name);
  }
  if (consume(rest, "mid.block_")) {
    const int resnet = consume_index(rest);
    return resnet < 1 ? std::string(name) : side + "mid_block.resnets." + std::to_string(resnet - 1) + "." + renamed(rest, kVaeResnet);
  }
  if (consume(rest, "mid.attn_1.")) return side + "mid_block.attentions.0." + renamed(rest, kVaeAttention);
  if (consume(rest, "mid_block.attentions.0.")) return side + "mid_block.attentions.0." + renamed(rest, kEarlyAttention);
  return side + renamed(rest, kVaeOther);
}

}  // namespace sdxl::weights
