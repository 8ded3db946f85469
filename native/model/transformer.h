// The UNet's transformer: self-attention, cross-attention to the prompt and a GEGLU feed-forward per block.
// Rombach et al. 2022; Diffusers: Transformer2DModel with linear projections, BasicTransformerBlock.
#pragma once

#include "model/layers.h"

namespace sdxl::model {

// A prompt as cross-attention reads it. Depends on the prompt only, so it is made once and serves every step.
struct PromptKeys {
  std::vector<Array> keys_values = {};  // per transformer block in the order of the UNet: [batch, tokens, keys | values]
  int64_t batch = 0, tokens = 0;
  std::vector<int64_t> counts = {};  // [batch], or empty: tokens that exist
};

class TransformerBlock {
 public:
  TransformerBlock(Layers& layers, const std::string& name, int64_t channels, int64_t context);

  // hidden [batch, tokens, channels] is changed in place.
  void operator()(const Run& run, Tensor hidden, const PromptKeys& prompt, const Array& keys_values) const;
  // Into `to`, which is of that size already or none.
  void keys_values(const Run& run, ConstTensor context, Array& to) const;

 private:
  int64_t channels_;
  const Norm *norm1_, *norm2_, *norm3_;
  const Linear *self_qkv_, *self_out_, *cross_q_, *cross_kv_, *cross_out_, *feed_in_, *feed_out_;
};

class Transformer {
 public:
  // The number of blocks is what the file holds under this name.
  Transformer(Layers& layers, const std::string& name, int64_t channels, int64_t context);

  // x [batch, height, width, channels] is changed in place. `block` counts through the whole UNet and is advanced.
  void operator()(const Run& run, Tensor x, const PromptKeys& prompt, size_t& block) const;
  // Of its blocks, of which `block` counts those of the whole UNet.
  void keys_values(const Run& run, ConstTensor context, PromptKeys& prompt, size_t& block) const;

 private:
  const Norm* norm_;
  const Linear *proj_in_, *proj_out_;
  std::vector<TransformerBlock> blocks_;
};

}  // namespace sdxl::model
