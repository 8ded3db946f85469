#include "convert/single_file_names.h"

#include "weights/name_tables.h"

namespace sdxl::convert {

using namespace weights;

namespace {

std::string numbered(std::string_view name, int64_t i) { return std::string(name) + std::to_string(i); }

}  // namespace

UnetFileNames::UnetFileNames(const Component& unet) {
  const WeightReader reader(unet);
  int number = 1;  // block 0 is conv_in
  for (int i = 0; i < reader.count("down_blocks."); ++i) {
    const std::string name = numbered("down_blocks.", i);
    const int resnets = reader.count(name + ".resnets.");
    down_.push_back({number, resnets});
    number += resnets + reader.has_any(name + ".downsamplers.");
  }
  number = 0;
  for (int i = 0; i < reader.count("up_blocks."); ++i) {
    const std::string name = numbered("up_blocks.", i);
    const int resnets = reader.count(name + ".resnets.");
    up_.push_back({number, resnets, reader.has_any(numbered(name + ".attentions.", resnets - 1) + ".")});
    number += resnets;
  }
}

std::string UnetFileNames::operator()(std::string_view name) const {
  std::string_view rest = name;
  if (consume(rest, "mid_block.resnets.")) {
    const int index = consume_index(rest);
    return numbered("middle_block.", 2 * index) + "." + renamed_back(rest, kUnetResnet);
  }
  if (consume(rest, "mid_block.attentions.")) {
    const int index = consume_index(rest);
    return numbered("middle_block.", 2 * index + 1) + "." + std::string(rest);
  }
  const bool down = consume(rest, "down_blocks.");
  if (!down && !consume(rest, "up_blocks.")) return renamed_back(name, kUnetFixed);

  const Level& level = (down ? down_ : up_)[size_t(consume_index(rest))];
  const std::string_view side = down ? "input_blocks." : "output_blocks.";
  if (consume(rest, "downsamplers.0.conv.")) return numbered(side, level.first + level.resnets) + ".0.op." + std::string(rest);
  if (consume(rest, "upsamplers.0.")) return numbered(side, level.first + level.resnets - 1) + (level.attends_at_end ? ".2." : ".1.") + std::string(rest);
  const bool attention = consume(rest, "attentions.");
  if (!attention) consume(rest, "resnets.");
  const int block = level.first + consume_index(rest);
  return numbered(side, block) + (attention ? ".1." + std::string(rest) : ".0." + renamed_back(rest, kUnetResnet));
}

VaeFileNames::VaeFileNames(const Component& vae) : decoder_levels_(WeightReader(vae).count("decoder.up_blocks.")) {}

std::string VaeFileNames::operator()(std::string_view name) const {
  std::string_view rest = name;
  const bool encoder = consume(rest, "encoder.");
  if (!encoder && !consume(rest, "decoder.")) return std::string(name);
  const std::string side = encoder ? "encoder." : "decoder.";
  if (consume(rest, "mid_block.attentions.0.")) return side + "mid.attn_1." + renamed_back(rest, kVaeAttention);
  if (consume(rest, "mid_block.resnets.")) {
    const int index = consume_index(rest);
    return numbered(side + "mid.block_", index + 1) + "." + renamed_back(rest, kVaeResnet);
  }
  if (!consume(rest, encoder ? "down_blocks." : "up_blocks.")) return side + renamed_back(rest, kVaeOther);

  const int index = consume_index(rest);
  const std::string level = (encoder ? numbered(side + "down.", index) : numbered(side + "up.", decoder_levels_ - 1 - index)) + ".";
  if (consume(rest, encoder ? "downsamplers.0." : "upsamplers.0.")) return level + (encoder ? "downsample." : "upsample.") + std::string(rest);
  consume(rest, "resnets.");
  const int resnet = consume_index(rest);
  return numbered(level + "block.", resnet) + "." + renamed_back(rest, kVaeResnet);
}

OpenClipFileName open_clip_file_name(std::string_view name) {
  if (name == "text_projection.weight") return {.name = "text_projection", .transposed = true};
  std::string_view rest = name;
  if (!consume(rest, "text_model.encoder.layers.")) return {.name = renamed_back(name, kOpenClipFixed)};
  const std::string block = numbered("transformer.resblocks.", consume_index(rest)) + ".";
  constexpr std::string_view kFused[] = {"self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj."};
  for (int i = 0; i < 3; ++i)
    if (consume(rest, kFused[i])) return {.name = block + "attn.in_proj_" + std::string(rest), .row_of_three = i};
  return {.name = block + renamed_back(rest, kOpenClipLayer)};
}

}  // namespace sdxl::convert
