// TAESD tensor names: from those of the original sequences of layers, under the prefixes in use, to those of Diffusers' AutoencoderTiny.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sdxl::weights {

class TaesdNames {
 public:
  // Files of one half have bare numbers, of which only the whole list says whose they are.
  explicit TaesdNames(std::span<const std::string_view> names);
  // Whether these are the names of a TAESD.
  static bool fit(std::span<const std::string_view> names);

  // "taesd_decoder.3.conv.0.weight" → "decoder.layers.2.conv.0.weight", for the decoder's original sequence begins with the bending of its
  // input. Names of layers in no known form come back unchanged; null: a scalar that belongs to the latents and not to the network.
  std::optional<std::string> operator()(std::string_view name) const;

 private:
  bool bare_decoder_ = false;
};

}  // namespace sdxl::weights
