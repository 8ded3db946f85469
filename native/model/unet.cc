#include "model/unet.h"

namespace sdxl::model {

namespace {

constexpr float kEps = 1e-5f;
constexpr int64_t kSizeWidth = 256;  // each size number is spread over so many sinusoids

}  // namespace

Unet::Unet(const weights::Component& component, int64_t pooled_width) : layers(component), pooled_width_(pooled_width) {
  weights::WeightReader& reader = layers.reader;
  const int64_t base = reader.dim("conv_in.weight", 0);
  in_channels_ = reader.dim("conv_in.weight", 1);
  embedding_ = reader.dim("time_embedding.linear_1.weight", 0);
  const int64_t added = reader.dim("add_embedding.linear_1.weight", 1);
  const int64_t out = reader.dim("conv_out.weight", 0);

  conv_in_ = layers.conv("conv_in", in_channels_, base);
  time1_ = layers.linear("time_embedding.linear_1", base, embedding_);
  time2_ = layers.linear("time_embedding.linear_2", embedding_, embedding_);
  added1_ = layers.linear("add_embedding.linear_1", added, embedding_);
  added2_ = layers.linear("add_embedding.linear_2", embedding_, embedding_);

  // Every cross-attention reads the same context; the first one found says how wide it is.
  const int levels = reader.count("down_blocks.");
  for (int i = levels - 1; i >= 0 && context_width_ == 0; --i) {
    const std::string key = "down_blocks." + std::to_string(i) + ".attentions.0.transformer_blocks.0.attn2.to_k.weight";
    if (reader.has(key)) context_width_ = reader.dim(key, 1);
  }
  if (levels == 0) reader.problem(component.name + ": no down_blocks found");
  if (levels && context_width_ == 0) reader.problem(component.name + ": no cross-attention found (down_blocks.N.attentions)");

  // A block is what the file holds: so many ResNets, transformers beside them or not, a resampling convolution or not.
  const auto add_block = [&](Level& level, const std::string& name, int64_t channels, int64_t in, const std::vector<int64_t>& skips) {
    const int resnets = reader.count(name + ".resnets.");
    const bool attends = reader.has_any(name + ".attentions.");
    if (resnets == 0) reader.problem(component.name + ": " + name + " has no resnets");
    for (int j = 0; j < resnets; ++j) {
      const int64_t joined = in + (size_t(j) < skips.size() ? skips[skips.size() - 1 - size_t(j)] : 0);
      level.resnets.emplace_back(layers, name + ".resnets." + std::to_string(j), joined, channels, embedding_, kEps);
      if (attends) level.transformers.emplace_back(layers, name + ".attentions." + std::to_string(j), channels, context_width_);
      in = channels;
    }
  };
  const auto width_of = [&](const std::string& name) { return reader.dim(name + ".resnets.0.conv1.weight", 0); };

  std::vector<int64_t> skips{base};  // channels of every tensor kept for the way up
  int64_t channels = base;
  for (int i = 0; i < levels; ++i) {
    const std::string name = "down_blocks." + std::to_string(i);
    const int64_t width = width_of(name);
    Level& level = down_.emplace_back();
    add_block(level, name, width, channels, {});
    skips.insert(skips.end(), level.resnets.size(), width);
    if (reader.has_any(name + ".downsamplers.0.")) {
      level.resample = layers.conv(name + ".downsamplers.0.conv", width, width);
      skips.push_back(width);
    }
    channels = width;
  }

  middle_.resnets.emplace_back(layers, "mid_block.resnets.0", channels, channels, embedding_, kEps);
  if (reader.has_any("mid_block.attentions.0.")) middle_.transformers.emplace_back(layers, "mid_block.attentions.0", channels, context_width_);
  if (reader.has_any("mid_block.resnets.1.")) middle_.resnets.emplace_back(layers, "mid_block.resnets.1", channels, channels, embedding_, kEps);

  for (int i = 0; i < reader.count("up_blocks."); ++i) {
    const std::string name = "up_blocks." + std::to_string(i);
    const int64_t width = width_of(name);
    Level& level = up_.emplace_back();
    add_block(level, name, width, channels, skips);
    if (level.resnets.size() > skips.size()) {
      reader.problem(component.name + ": the way up has more resnets than the way down left tensors for");
      break;
    }
    skips.resize(skips.size() - level.resnets.size());
    if (reader.has_any(name + ".upsamplers.0.")) level.resample = layers.conv(name + ".upsamplers.0.conv", width, width);
    channels = width;
  }
  if (levels && !skips.empty()) reader.problem(component.name + ": the way up has fewer resnets than the way down left tensors for");

  norm_out_ = layers.group_norm("conv_norm_out", channels);
  conv_out_ = layers.conv("conv_out", channels, out);

  // Six size numbers, in the refiner five.
  size_numbers_ = (added - pooled_width) / kSizeWidth;
  if (added && (size_numbers_ < 5 || size_numbers_ > 6 || (added - pooled_width) % kSizeWidth))
    reader.problem(component.name + ": add_embedding.linear_1 reads " + std::to_string(added) + " values; with " + std::to_string(pooled_width) +
                   " of pooled text, " + std::to_string(pooled_width + 6 * kSizeWidth) + " are wanted (" + std::to_string(pooled_width + 5 * kSizeWidth) +
                   " in a refiner)");
}

template <class F>
void Unet::each_transformer(F visit) const {
  for (const Level& level : down_)
    for (const Transformer& t : level.transformers) visit(t);
  for (const Transformer& t : middle_.transformers) visit(t);
  for (const Level& level : up_)
    for (const Transformer& t : level.transformers) visit(t);
}

UnetPrompt Unet::prepare(const Run& caller, ConstTensor context, std::vector<int64_t> counts, ConstTensor pooled, const std::vector<float>& sizes,
                         UnetPrompt prompt) const {
  const Run run = layers.own(caller);
  const auto [batch, tokens, width] = context.dims<3>();
  prompt.keys.batch = batch, prompt.keys.tokens = tokens, prompt.keys.counts = std::move(counts);
  size_t block = 0;
  each_transformer([&](const Transformer& t) { t.keys_values(run, context, prompt.keys, block); });

  Array numbers = run.take({batch * size_numbers_, kSizeWidth});
  run.backend.run(ops::Sinusoid{sizes, numbers});
  Array vector = run.take({batch, pooled_width_ + size_numbers_ * kSizeWidth});
  run.backend.run(ops::Concat{pooled, numbers.as({batch, size_numbers_ * kSizeWidth}), vector});
  const Array inner = (*added1_)(run, vector, ops::Activation::silu);
  if (prompt.added) (*added2_)(run, inner, prompt.added);
  else prompt.added = added2_->wide(run, inner);
  return prompt;
}

Tensor Unet::input(const Run& run, UnetPrompt& prompt, int64_t items, int64_t height, int64_t width) const {
  if (const Shape wanted{items, height, width, in_channels_}; !prompt.x || !(prompt.x.shape() == wanted)) {
    prompt.recording.reset();
    prompt.x = run.take(wanted, DType::f32), prompt.y = run.take({items, height, width, out_channels()}, DType::f32);
    prompt.embedding = layers.own(run).take({items, embedding_});
  }
  return prompt.x;
}

Array Unet::embed_times(const Run& caller, const std::vector<float>& timesteps) const {
  const Run run = layers.own(caller);
  Array wave = run.take({int64_t(timesteps.size()), time1_->in});
  run.backend.run(ops::Sinusoid{timesteps, wave});
  const Array inner = (*time1_)(run, wave, ops::Activation::silu);
  return time2_->wide(run, inner);
}

ConstTensor Unet::predict(const Run& caller, ConstTensor time, UnetPrompt& prompt) const {
  const Run run = layers.own(caller);
  run.check();
  const Array& embedding = prompt.embedding;
  const int64_t items = embedding.shape()[0];
  for (int64_t i = 0; i < items; ++i)
    run.backend.run(ops::Combine{{{1, time}, {1, prompt.added.view().item(i * prompt.keys.batch / items)}}, embedding.view().item(i)});
  // Every ResNet would put this before its projection.
  run.backend.run(ops::Activate{embedding, embedding, ops::Activation::silu});
  run.backend.repeat(prompt.recording, [&] { forward(run, prompt); });
  return prompt.y;
}

void Unet::forward(const Run& run, const UnetPrompt& prompt) const {
  const ConstTensor x = prompt.x, embedding = prompt.embedding;
  const auto [items, height, width, in] = x.dims<4>();
  size_t block = 0;  // transformer blocks passed so far

  std::vector<Array> skips;
  const auto keep = [&](Array h) { skips.push_back(std::move(h)); };
  {
    Array h = run.take({items, height, width, conv_in_->out});
    (*conv_in_)(run, x, h);
    keep(std::move(h));
  }
  for (const Level& level : down_) {
    for (size_t j = 0; j < level.resnets.size(); ++j) {
      Array h = level.resnets[j](run, skips.back(), embedding);
      if (!level.transformers.empty()) level.transformers[j](run, h, prompt.keys, block);
      keep(std::move(h));
    }
    if (level.resample) {
      run.check();
      const Shape& s = skips.back().shape();
      Array h = run.take({items, (s[1] + 1) / 2, (s[2] + 1) / 2, s[3]});
      (*level.resample)(run, skips.back(), h, {.stride = 2});
      keep(std::move(h));
    }
  }

  Array h = middle_.resnets[0](run, skips.back(), embedding);
  if (!middle_.transformers.empty()) middle_.transformers[0](run, h, prompt.keys, block);
  if (middle_.resnets.size() > 1) h = middle_.resnets[1](run, h, embedding);

  for (const Level& level : up_) {
    for (size_t j = 0; j < level.resnets.size(); ++j) {
      Array joined;
      {
        const Array skip = std::move(skips.back());
        skips.pop_back();
        const Shape &a = h.shape(), &b = skip.shape();
        const int64_t pixels = items * a[1] * a[2];
        joined = run.take({items, a[1], a[2], a[3] + b[3]});
        run.backend.run(ops::Concat{h.as({pixels, a[3]}), skip.as({pixels, b[3]}), joined.as({pixels, a[3] + b[3]})});
      }
      h = Array();
      h = level.resnets[j](run, joined, embedding);
      if (!level.transformers.empty()) level.transformers[j](run, h, prompt.keys, block);
    }
    if (level.resample) {
      run.check();
      // Not always twice the size: what was 13 wide on the way down became 7, and 7 has to become 13 again.
      const Shape& waiting = skips.back().shape();
      Array larger = run.take({items, waiting[1], waiting[2], h.shape()[3]});
      (*level.resample)(run, h, larger, {.upsample = true});
      h = std::move(larger);
    }
  }
  norm_out_->group(run, h, h, kEps, true);
  (*conv_out_)(run, h, prompt.y);
}

}  // namespace sdxl::model
