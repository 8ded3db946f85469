// From the names of Diffusers and transformers to those of the original SGM and OpenCLIP code: what native/weights/*_names.h does, backwards.
// All take names that a model part has used, so that nothing unknown is among them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weights/weight_reader.h"

namespace sdxl::convert {

class UnetFileNames {
 public:
  explicit UnetFileNames(const weights::Component& unet);

  // "down_blocks.0.downsamplers.0.conv.weight" → "input_blocks.3.0.op.weight"
  std::string operator()(std::string_view name) const;

 private:
  struct Level {
    int first, resnets;           // number of its first block; every ResNet is one
    bool attends_at_end = false;  // a transformer stands between the last ResNet and what follows
  };
  std::vector<Level> down_, up_;
};

class VaeFileNames {
 public:
  explicit VaeFileNames(const weights::Component& vae);

  // "decoder.up_blocks.0.resnets.0.conv_shortcut.weight" → "decoder.up.3.block.0.nin_shortcut.weight"
  std::string operator()(std::string_view name) const;

 private:
  int decoder_levels_;
};

struct OpenClipFileName {
  std::string name;
  int row_of_three = -1;    // q, k and v are fused: 0, 1 or 2 of the tensor `name`
  bool transposed = false;  // held as [in, out]
};
OpenClipFileName open_clip_file_name(std::string_view name);

}  // namespace sdxl::convert
