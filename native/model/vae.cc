#include "model/vae.h"

#include <algorithm>

namespace sdxl::model {

namespace {

constexpr float kEps = 1e-6f;

std::string numbered(const char* name, int i) { return name + std::to_string(i); }

}  // namespace

Vae::Vae(const weights::Component& component) : Autoencoder(component) {
  weights::WeightReader& reader = layers.reader;
  latent_channels_ = reader.dim("decoder.conv_in.weight", 1);

  post_quant_ = layers.conv("post_quant_conv", latent_channels_, latent_channels_, 1);
  int64_t channels = reader.dim("decoder.conv_in.weight", 0);
  decoder_in_ = layers.conv("decoder.conv_in", latent_channels_, channels);
  decoder_middle_ = middle("decoder.mid_block", channels);
  const int levels = reader.count("decoder.up_blocks.");
  if (levels == 0) reader.problem(component.name + ": no decoder.up_blocks found");
  for (int i = 0; i < levels; ++i) {
    up_.push_back(level(numbered("decoder.up_blocks.", i), channels, ".upsamplers.0.conv"));
    if (!up_.back().resnets.empty()) channels = up_.back().resnets[0].out();
    if (up_.back().resample) scale_ *= 2;
  }
  decoder_norm_ = layers.group_norm("decoder.conv_norm_out", channels);
  decoder_out_ = layers.conv("decoder.conv_out", channels, 3);

  channels = reader.dim("encoder.conv_in.weight", 0);
  encoder_in_ = layers.conv("encoder.conv_in", 3, channels);
  for (int i = 0; i < reader.count("encoder.down_blocks."); ++i) {
    down_.push_back(level(numbered("encoder.down_blocks.", i), channels, ".downsamplers.0.conv"));
    if (!down_.back().resnets.empty()) channels = down_.back().resnets[0].out();
  }
  encoder_middle_ = middle("encoder.mid_block", channels);
  encoder_norm_ = layers.group_norm("encoder.conv_norm_out", channels);
  // Mean and logarithm of the variance, hence twice.
  encoder_out_ = layers.conv("encoder.conv_out", channels, 2 * latent_channels_);
  quant_ = layers.conv("quant_conv", 2 * latent_channels_, 2 * latent_channels_, 1);
}

Vae::Level Vae::level(const std::string& name, int64_t in, const char* resample) {
  weights::WeightReader& reader = layers.reader;
  Level level;
  const int resnets = reader.count(name + ".resnets.");
  const int64_t width = reader.dim(name + ".resnets.0.conv1.weight", 0);
  for (int j = 0; j < resnets; ++j) level.resnets.emplace_back(layers, numbered((name + ".resnets.").c_str(), j), j ? width : in, width, 0, kEps);
  if (reader.has_any(name + resample)) level.resample = layers.conv(name + resample, width, width);
  return level;
}

Vae::Middle Vae::middle(const std::string& name, int64_t channels) {
  Middle m;
  m.resnets.emplace_back(layers, name + ".resnets.0", channels, channels, 0, kEps);
  const std::string a = name + ".attentions.0.";
  m.attention = {layers.group_norm(a + "group_norm", channels), layers.stacked({a + "to_q", a + "to_k", a + "to_v"}, channels, channels, true),
                 layers.linear(a + "to_out.0", channels, channels)};
  m.resnets.emplace_back(layers, name + ".resnets.1", channels, channels, 0, kEps);
  return m;
}

void Vae::Attention::operator()(const Run& run, Tensor x) const {
  run.check();
  const auto [batch, height, width, channels] = x.dims<4>();
  Array normed = run.take(x.shape());
  norm->group(run, x, normed, kEps, false);
  {
    const Array rows = (*qkv)(run, normed);  // [pixels, q | k | v]
    run.backend.run(ops::Attention{
        .q = rows.at(0),
        .k = rows.at(channels),
        .v = rows.at(2 * channels),
        .q_stride = 3 * channels,
        .kv_stride = 3 * channels,
        .batch = batch,
        .queries = height * width,
        .heads = 1,
        .width = channels,
        .kv_batch = batch,
        .keys = height * width,
        .y = normed.as({batch, height * width, channels}),
    });
  }
  (*out)(run, normed, x, ops::Activation::none, x);
}

Array Vae::Middle::operator()(const Run& run, ConstTensor x) const {
  Array h = resnets[0](run, x);
  attention(run, h);
  return resnets[1](run, h);
}

Array Vae::decode(const Run& caller, ConstTensor latents) const {
  const Run run = layers.own(caller);
  const auto [batch, height, width, channels] = latents.dims<4>();
  Array h = run.take({batch, height, width, decoder_in_->out});
  {
    Array mixed = run.take(latents.shape(), DType::f32);
    (*post_quant_)(run, latents, mixed);
    (*decoder_in_)(run, mixed, h);
  }
  h = decoder_middle_(run, h);
  for (const Level& level : up_) {
    for (const Resnet& resnet : level.resnets) h = resnet(run, h);
    if (level.resample) {
      run.check();
      const Shape s = h.shape();
      Array larger = run.take({s[0], 2 * s[1], 2 * s[2], s[3]});
      (*level.resample)(run, h, larger, {.upsample = true});
      h = std::move(larger);
    }
  }
  decoder_norm_->group(run, h, h, kEps, true);
  run.check();
  Array pixels = run.take({batch, h.shape()[1], h.shape()[2], 3}, DType::f32);
  (*decoder_out_)(run, h, pixels);
  return pixels;
}

Array Vae::encode(const Run& caller, ConstTensor pixels) const {
  const Run run = layers.own(caller);
  const auto [batch, height, width, three] = pixels.dims<4>();
  Array h = run.take({batch, height, width, encoder_in_->out});
  (*encoder_in_)(run, pixels, h);
  for (const Level& level : down_) {
    for (const Resnet& resnet : level.resnets) h = resnet(run, h);
    if (level.resample) {
      run.check();
      const Shape s = h.shape();
      Array smaller = run.take({s[0], s[1] / 2, s[2] / 2, s[3]});
      (*level.resample)(run, h, smaller, {.stride = 2, .padding = 0});
      h = std::move(smaller);
    }
  }
  h = encoder_middle_(run, h);
  encoder_norm_->group(run, h, h, kEps, true);
  const Shape s = h.shape();
  Array moments = run.take({s[0], s[1], s[2], 2 * latent_channels_}, DType::f32);
  (*encoder_out_)(run, h, moments);
  (*quant_)(run, moments, h = run.take(moments.shape(), DType::f32));

  const ops::HostView both = run.backend.view(h);
  Array mean = run.backend.host().take({s[0], s[1], s[2], latent_channels_});
  for (int64_t p = 0; p < s[0] * s[1] * s[2]; ++p)
    std::copy_n(both.values.data() + p * 2 * latent_channels_, latent_channels_, mean.data() + p * latent_channels_);
  return run.backend.to_device(std::move(mean), DType::f32);
}

// The peak lies in the attention (input and output of the ResNet before it, that normed, q, k and v, and k and v again as a backend lays them
// out), or in a level's first ResNet (its input, that normed and two tensors of its own width, one more than there are at once: blocks of
// unlike size leave gaps).
int64_t Vae::decode_bytes(int64_t height, int64_t width) const {
  int64_t pixels = height * width, in = decoder_in_->out, peak = pixels * in * 8;
  for (const Level& level : up_) {
    const int64_t out = level.resnets[0].out();
    peak = std::max(peak, pixels * (2 * in + 2 * out));
    in = out;
    if (level.resample) peak = std::max(peak, pixels * out * 5), pixels *= 4;
  }
  return peak * layers.element_bytes();
}

int64_t Vae::encode_bytes(int64_t height, int64_t width) const {
  int64_t pixels = height * width * scale_ * scale_, in = encoder_in_->out, peak = 0;
  for (const Level& level : down_) {
    const int64_t out = level.resnets[0].out();
    peak = std::max(peak, pixels * (2 * in + 2 * out));
    in = out;
    if (level.resample) pixels /= 4;
  }
  return std::max(peak, pixels * in * 8) * layers.element_bytes();
}

}  // namespace sdxl::model
