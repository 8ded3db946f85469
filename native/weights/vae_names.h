// VAE tensor names: from those of the original SGM code and of early Diffusers versions to those of Diffusers.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sdxl::weights {

class VaeNames {
 public:
  // SGM counts the decoder's levels from the fine end, Diffusers from the coarse one: their number is in the whole list only.
  explicit VaeNames(std::span<const std::string_view> names);

  // "decoder.up.3.block.0.nin_shortcut.weight" → "decoder.up_blocks.0.resnets.0.conv_shortcut.weight". Other names come back unchanged.
  std::string operator()(std::string_view name) const;

 private:
  int decoder_levels_ = 0;
};

}  // namespace sdxl::weights
