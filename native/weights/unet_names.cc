#include "weights/unet_names.h"

#include <algorithm>

#include "weights/name_tables.h"

namespace sdxl::weights {

namespace {

std::string member(const char* side, int level, const char* kind, int index, std::string_view rest) {
  return std::string(side) + std::to_string(level) + "." + kind + "." + std::to_string(index) + "." + std::string(rest);
}

}  // namespace

UnetNames::UnetNames(std::span<const std::string_view> names) {
  const auto note = [](std::vector<Place>& blocks, int number, bool ends_level) {
    if (size_t(number) >= blocks.size()) blocks.resize(size_t(number) + 1);
    blocks[size_t(number)].ends_level |= ends_level;
  };
  for (std::string_view name : names) {
    const bool input = consume(name, "input_blocks.");
    if (!input && !consume(name, "output_blocks.")) continue;
    const int number = consume_index(name), child = consume_index(name);
    if (number < 0 || child < 0) continue;
    if (input) note(inputs_, number, child == 0 && name.starts_with("op."));
    else note(outputs_, number, child > 0 && name.starts_with("conv."));
  }
  int level = 0, resnet = 0;
  for (size_t i = 1; i < inputs_.size(); ++i) {  // block 0 is conv_in
    inputs_[i].level = level;
    inputs_[i].resnet = resnet++;
    if (inputs_[i].ends_level) ++level, resnet = 0;
  }
  level = resnet = 0;
  for (Place& block : outputs_) {
    block.level = level;
    block.resnet = resnet++;
    if (block.ends_level) ++level, resnet = 0;
  }
}

std::string UnetNames::operator()(std::string_view name) const {
  std::string_view rest = name;
  if (consume(rest, "middle_block.")) {
    const int child = consume_index(rest);
    if (child < 0) return std::string(name);
    return "mid_block." + (child % 2 == 0 ? "resnets." + std::to_string(child / 2) + "." + renamed(rest, kUnetResnet)
                                          : "attentions." + std::to_string(child / 2) + "." + std::string(rest));
  }
  const bool input = name.starts_with("input_blocks.");
  if ((!input && !name.starts_with("output_blocks.")) || name.starts_with("input_blocks.0.")) return renamed(name, kUnetFixed);

  rest.remove_prefix(rest.find('.') + 1);
  const int number = consume_index(rest), child = consume_index(rest);
  if (number < 0 || child < 0) return std::string(name);
  const Place& block = (input ? inputs_ : outputs_)[size_t(number)];
  const char* side = input ? "down_blocks." : "up_blocks.";
  if (input && child == 0 && consume(rest, "op.")) return member(side, block.level, "downsamplers", 0, "conv." + std::string(rest));
  if (!input && child > 0 && rest.starts_with("conv.")) return member(side, block.level, "upsamplers", 0, rest);
  if (child == 0) return member(side, block.level, "resnets", block.resnet, renamed(rest, kUnetResnet));
  return member(side, block.level, "attentions", block.resnet, rest);
}

}  // namespace sdxl::weights
