#include "model/transformer.h"

#include <algorithm>

namespace sdxl::model {

namespace {

constexpr int64_t kHeadWidth = 64;

}  // namespace

TransformerBlock::TransformerBlock(Layers& layers, const std::string& name, int64_t channels, int64_t context)
    : channels_(channels),
      norm1_(layers.layer_norm(name + ".norm1", channels)),
      norm2_(layers.layer_norm(name + ".norm2", channels)),
      norm3_(layers.layer_norm(name + ".norm3", channels)),
      self_qkv_(layers.stacked({name + ".attn1.to_q", name + ".attn1.to_k", name + ".attn1.to_v"}, channels, channels, false)),
      self_out_(layers.linear(name + ".attn1.to_out.0", channels, channels)),
      cross_q_(layers.linear(name + ".attn2.to_q", channels, channels, false)),
      cross_kv_(layers.stacked({name + ".attn2.to_k", name + ".attn2.to_v"}, context, channels, false)),
      cross_out_(layers.linear(name + ".attn2.to_out.0", channels, channels)),
      feed_in_(layers.geglu(name + ".ff.net.0.proj", channels, 4 * channels)),
      feed_out_(layers.linear(name + ".ff.net.2", 4 * channels, channels)) {
  // Not what the prompt's keys and values are made by, once for all steps.
  layers.branch({self_qkv_, self_out_, cross_q_, cross_out_, feed_in_, feed_out_});
}

void TransformerBlock::keys_values(const Run& run, ConstTensor context, Array& to) const {
  if (to) (*cross_kv_)(run, context, to);
  else to = (*cross_kv_)(run, context);
}

void TransformerBlock::operator()(const Run& run, Tensor hidden, const PromptKeys& prompt, const Array& keys_values) const {
  run.check();
  const auto [batch, tokens, channels] = hidden.dims<3>();
  const int64_t heads = channels / kHeadWidth;
  Array normed = run.take(hidden.shape());

  norm1_->layer(run, hidden, normed);
  {
    const Array qkv = (*self_qkv_)(run, normed);  // [batch · tokens, q | k | v]
    run.backend.run(ops::Attention{
        .q = qkv.at(0),
        .k = qkv.at(channels),
        .v = qkv.at(2 * channels),
        .q_stride = 3 * channels,
        .kv_stride = 3 * channels,
        .batch = batch,
        .queries = tokens,
        .heads = heads,
        .width = kHeadWidth,
        .kv_batch = batch,
        .keys = tokens,
        .y = normed,
    });
  }
  (*self_out_)(run, normed, hidden, ops::Activation::none, hidden);

  norm2_->layer(run, hidden, normed);
  {
    const Array q = (*cross_q_)(run, normed);
    run.backend.run(ops::Attention{
        .q = q.at(0),
        .k = keys_values.at(0),
        .v = keys_values.at(channels),
        .q_stride = channels,
        .kv_stride = 2 * channels,
        .batch = batch,
        .queries = tokens,
        .heads = heads,
        .width = kHeadWidth,
        .kv_batch = prompt.batch,
        .keys = prompt.tokens,
        .key_counts = prompt.counts,
        .y = normed,
    });
  }
  (*cross_out_)(run, normed, hidden, ops::Activation::none, hidden);

  norm3_->layer(run, hidden, normed);
  const Array inner = (*feed_in_)(run, normed);
  (*feed_out_)(run, inner, hidden, ops::Activation::none, hidden);
}

Transformer::Transformer(Layers& layers, const std::string& name, int64_t channels, int64_t context)
    : norm_(layers.group_norm(name + ".norm", channels)),
      proj_in_(layers.linear(name + ".proj_in", channels, channels)),
      proj_out_(layers.linear(name + ".proj_out", channels, channels)) {
  if (channels % kHeadWidth)
    layers.reader.problem(name + " is " + std::to_string(channels) + " wide; attention needs a multiple of " + std::to_string(kHeadWidth));
  const int depth = layers.reader.count(name + ".transformer_blocks.");
  for (int i = 0; i < depth; ++i) blocks_.emplace_back(layers, name + ".transformer_blocks." + std::to_string(i), channels, context);
}

void Transformer::operator()(const Run& run, Tensor x, const PromptKeys& prompt, size_t& block) const {
  const auto [batch, height, width, channels] = x.dims<4>();
  Array hidden = run.take({batch, height * width, channels});
  {
    Array normed = run.take(x.shape());
    norm_->group(run, x, normed, 1e-6f, false);
    (*proj_in_)(run, normed, hidden);
  }
  for (const TransformerBlock& b : blocks_) b(run, hidden, prompt, prompt.keys_values[block++]);
  (*proj_out_)(run, hidden, x, ops::Activation::none, x);
}

void Transformer::keys_values(const Run& run, ConstTensor context, PromptKeys& prompt, size_t& block) const {
  prompt.keys_values.resize(std::max(prompt.keys_values.size(), block + blocks_.size()));
  for (const TransformerBlock& b : blocks_) b.keys_values(run, context, prompt.keys_values[block++]);
}

}  // namespace sdxl::model
