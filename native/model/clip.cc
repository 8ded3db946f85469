#include "model/clip.h"

#include <algorithm>

namespace sdxl::model {

namespace {

constexpr int64_t kHeadWidth = 64;

}  // namespace

Clip::Clip(const weights::Component& component, ops::Activation activation) : layers(component), activation_(activation) {
  weights::WeightReader& reader = layers.reader;
  const std::string root = "text_model.", embeddings = root + "embeddings.";
  vocabulary_ = reader.dim(embeddings + "token_embedding.weight", 0);
  width_ = reader.dim(embeddings + "token_embedding.weight", 1);
  tokens_ = layers.lookup(embeddings + "token_embedding.weight", vocabulary_, width_);
  positions_ = layers.constant(embeddings + "position_embedding.weight", kLength, width_);
  if (width_ % kHeadWidth)
    reader.problem(component.name + " is " + std::to_string(width_) + " wide; attention needs a multiple of " + std::to_string(kHeadWidth));

  const std::string list = root + "encoder.layers.";
  const int depth = reader.count(list);
  if (depth < 2) reader.problem(component.name + ": " + std::to_string(depth) + " layers found, at least 2 wanted");
  for (int i = 0; i < depth; ++i) {
    const std::string name = list + std::to_string(i), attention = name + ".self_attn.";
    const int64_t inner = reader.dim(name + ".mlp.fc1.weight", 0);
    blocks_.push_back({
        .norm1 = layers.layer_norm(name + ".layer_norm1", width_),
        .norm2 = layers.layer_norm(name + ".layer_norm2", width_),
        .qkv = layers.stacked({attention + "q_proj", attention + "k_proj", attention + "v_proj"}, width_, width_, true),
        .out = layers.linear(attention + "out_proj", width_, width_),
        .fc1 = layers.linear(name + ".mlp.fc1", width_, inner),
        .fc2 = layers.linear(name + ".mlp.fc2", inner, width_),
    });
  }
  norm_ = layers.layer_norm(root + "final_layer_norm", width_);
  if (reader.has("text_projection.weight")) projection_ = layers.linear("text_projection", width_, reader.dim("text_projection.weight", 0), false);
}

// y [chunks, 77, width]
void Clip::embed(const Run& run, const std::vector<int32_t>& ids, Tensor y) const {
  std::vector<int32_t> known = ids;
  for (int32_t& id : known)
    if (id >= kFirstAdded) id = 0;
  run.backend.run(ops::Embedding{known.data(), tokens_->packed.get(), positions_->values, y});
  Array added_rows;
  for (size_t i = 0; i < ids.size(); ++i) {
    const int64_t added = ids[i] - kFirstAdded, position = int64_t(i) % kLength;
    if (added < 0) continue;
    if ((added + 1) * width_ > int64_t(added_.size())) throw Error(Code::internal, "a token beyond the text encoder's vocabulary: " + std::to_string(ids[i]));
    if (!added_rows) added_rows = run.on_device(added_, {int64_t(added_.size()) / width_, width_}, DType::f32);
    const ConstTensor positions = positions_->values.view().as({kLength, width_});
    run.backend.run(ops::Combine{{{1, added_rows.view().item(added)}, {1, positions.item(position)}}, y.as({int64_t(ids.size()), width_}).item(int64_t(i))});
  }
}

void Clip::run_block(const Run& run, const Block& block, const std::vector<uint8_t>& hidden, Tensor states) const {
  run.check();
  const auto [chunks, length, width] = states.dims<3>();
  Array normed = run.take(states.shape());
  block.norm1->layer(run, states, normed);
  {
    const Array qkv = (*block.qkv)(run, normed);
    run.backend.run(ops::Attention{
        .q = qkv.at(0),
        .k = qkv.at(width),
        .v = qkv.at(2 * width),
        .q_stride = 3 * width,
        .kv_stride = 3 * width,
        .batch = chunks,
        .queries = length,
        .heads = width / kHeadWidth,
        .width = kHeadWidth,
        .kv_batch = chunks,
        .keys = length,
        .causal = true,
        .hidden = hidden,
        .y = normed,
    });
  }
  (*block.out)(run, normed, states, ops::Activation::none, states);
  block.norm2->layer(run, states, normed);
  const Array inner = (*block.fc1)(run, normed, activation_);
  (*block.fc2)(run, inner, states, ops::Activation::none, states);
}

Array Clip::encode(const Run& caller, const Input& input, int skip, Array* last) const {
  const Run run = layers.own(caller);
  const int64_t chunks = int64_t(input.ids.size()) / kLength;
  Array states = run.take({chunks, kLength, width_});
  embed(run, input.ids, states);
  std::vector<uint8_t> hidden = input.hidden;
  if (std::find(hidden.begin(), hidden.end(), 1) == hidden.end()) hidden.clear();
  const size_t stop = blocks_.size() - size_t(skip);
  for (size_t i = 0; i < stop; ++i) run_block(run, blocks_[i], hidden, states);
  if (last) {
    *last = run.take({1, kLength, width_});
    run.backend.run(ops::Combine{{{1, states.view().item(0)}}, *last});
    if (!hidden.empty()) hidden.resize(size_t(kLength));
    for (size_t i = stop; i < blocks_.size(); ++i) run_block(run, blocks_[i], hidden, *last);
  }
  return states;
}

Array Clip::pool(const Run& caller, ConstTensor last, int64_t position) const {
  const Run run = layers.own(caller);
  Array row = run.take({1, width_});
  norm_->layer(run, last.as({kLength, width_}).item(position), row);
  return projection_->wide(run, row);
}

}  // namespace sdxl::model
