// Takes the keys of LoRA files apart: "lora_unet_….lora_down.weight" is the part `down` of the layer "lora_unet_…".
#pragma once

#include <string_view>

namespace sdxl::lora {

enum class Part {
  up,
  down,
  mid,
  up_bias,
  alpha,
  scale,
  dora_scale,
  magnitude,
  hada_w1_a,
  hada_w1_b,
  hada_w2_a,
  hada_w2_b,
  hada_t1,
  hada_t2,
  lokr_w1,
  lokr_w1_a,
  lokr_w1_b,
  lokr_w2,
  lokr_w2_a,
  lokr_w2_b,
  lokr_t2,
  diff,
  diff_b,
  w_norm,
  b_norm,
  weight,
  on_input,
  a1,
  a2,
  b1,
  b2,
  oft_blocks,
  rescale,
  unsupported,  // belongs to a family that is known, but whose files do not say enough
  count
};

struct KeyParts {
  std::string_view module;       // without the part; the whole key when no part is recognised
  Part part = Part::count;       // count: none recognised
  std::string_view family = {};  // for `unsupported`, the family's name
};

KeyParts key_parts(std::string_view key);

}  // namespace sdxl::lora
