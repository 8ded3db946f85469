// UNet tensor names: from those of the original SGM code, which single files use, to those of Diffusers.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl::weights {

class UnetNames {
 public:
  // SGM numbers all blocks in one row; which of them begin a new level, only the whole list of names tells.
  explicit UnetNames(std::span<const std::string_view> names);

  // "input_blocks.3.0.op.weight" → "down_blocks.0.downsamplers.0.conv.weight". Other names, Diffusers' own among them, come back unchanged.
  std::string operator()(std::string_view name) const;

 private:
  struct Place {
    int level, resnet;  // resnet: its number in the level
    bool ends_level;    // by a downsampler (then it holds no ResNet) or an upsampler
  };
  std::vector<Place> inputs_, outputs_;  // by block number
};

}  // namespace sdxl::weights
