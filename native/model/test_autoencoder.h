// Autoencoders with made-up weights, for tests.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "cpu/test_data.h"
#include "model/taesd.h"
#include "model/vae.h"

namespace sdxl::test {

// Tensors under names, with the memory behind them.
class MadeUp {
 public:
  explicit MadeUp(const char* part) : component{part, {}} {}

  // Values of a size that lets a signal through a layer about as strong as it came.
  void add(const std::string& name, std::vector<int64_t> shape) {
    int64_t elements = 1, in = 1;
    for (size_t i = 0; i < shape.size(); ++i) elements *= shape[i], in *= i ? shape[i] : 1;
    std::vector<float>& values = memory_.emplace_back(numbers(elements, ++seed_));
    // A bias or a norm's shift, a norm's factor, or a weight.
    const bool factor = shape.size() == 1 && name.ends_with("weight");
    for (float& v : values) v = factor ? 1 + v / 4 : shape.size() == 1 ? v / 4 : v * 1.7f / std::sqrt(float(in));
    component.tensors[name] = {reinterpret_cast<const std::byte*>(values.data()), DType::f32, shape, false, "made up", name};
  }
  void conv(const std::string& name, int64_t in, int64_t out, int64_t kernel = 3, bool bias = true) {
    add(name + ".weight", {out, in, kernel, kernel});
    if (bias) add(name + ".bias", {out});
  }

  weights::Component component;

 private:
  std::deque<std::vector<float>> memory_;
  uint64_t seed_ = 0;
};

// Of so many levels with one ResNet each, so 2^(levels − 1) pixels to a latent.
inline void make_vae(MadeUp& to, const std::vector<int64_t>& widths, int64_t latent_channels) {
  const auto norm = [&](const std::string& name, int64_t width) { to.add(name + ".weight", {width}), to.add(name + ".bias", {width}); };
  const auto resnet = [&](const std::string& name, int64_t in, int64_t out) {
    norm(name + ".norm1", in), norm(name + ".norm2", out);
    to.conv(name + ".conv1", in, out), to.conv(name + ".conv2", out, out);
    if (in != out) to.conv(name + ".conv_shortcut", in, out, 1);
  };
  const auto middle = [&](const std::string& name, int64_t width) {
    resnet(name + ".resnets.0", width, width), resnet(name + ".resnets.1", width, width);
    norm(name + ".attentions.0.group_norm", width);
    for (const char* part : {"to_q", "to_k", "to_v", "to_out.0"}) {
      to.add(name + ".attentions.0." + part + ".weight", {width, width});
      to.add(name + ".attentions.0." + part + ".bias", {width});
    }
  };
  const size_t levels = widths.size();
  to.conv("post_quant_conv", latent_channels, latent_channels, 1), to.conv("quant_conv", 2 * latent_channels, 2 * latent_channels, 1);
  to.conv("decoder.conv_in", latent_channels, widths.back()), to.conv("encoder.conv_in", 3, widths[0]);
  middle("decoder.mid_block", widths.back()), middle("encoder.mid_block", widths.back());
  for (size_t i = 0; i < levels; ++i) {
    const int64_t down = widths[i], up = widths[levels - 1 - i];
    const std::string number = std::to_string(i);
    resnet("encoder.down_blocks." + number + ".resnets.0", i ? widths[i - 1] : down, down);
    resnet("decoder.up_blocks." + number + ".resnets.0", i ? widths[levels - i] : up, up);
    if (i + 1 == levels) break;
    to.conv("encoder.down_blocks." + number + ".downsamplers.0.conv", down, down);
    to.conv("decoder.up_blocks." + number + ".upsamplers.0.conv", up, up);
  }
  norm("decoder.conv_norm_out", widths[0]), norm("encoder.conv_norm_out", widths.back());
  to.conv("decoder.conv_out", widths[0], 3), to.conv("encoder.conv_out", widths.back(), 2 * latent_channels);
}

// Of three levels, so 4 pixels to a latent; the decoder's blocks change the width.
inline void make_taesd(MadeUp& to, int64_t latent_channels) {
  const auto block = [&](const std::string& name, int64_t in, int64_t out) {
    to.conv(name + ".conv.0", in, out), to.conv(name + ".conv.2", out, out), to.conv(name + ".conv.4", out, out);
    if (in != out) to.conv(name + ".skip", in, out, 1, false);
  };
  to.conv("decoder.layers.0", latent_channels, 12);
  block("decoder.layers.2", 12, 20);
  to.conv("decoder.layers.4", 20, 20, 3, false);
  block("decoder.layers.5", 20, 20), block("decoder.layers.6", 20, 8);
  to.conv("decoder.layers.8", 8, 8, 3, false);
  to.conv("decoder.layers.9", 8, 3);
  to.conv("encoder.layers.0", 3, 12);
  block("encoder.layers.1", 12, 12);
  to.conv("encoder.layers.2", 12, 12, 3, false);
  block("encoder.layers.3", 12, 12);
  to.conv("encoder.layers.4", 12, 12, 3, false);
  to.conv("encoder.layers.5", 12, latent_channels);
}

inline void pack(model::Autoencoder& autoencoder, ops::Backend& backend) {
  autoencoder.layers.load(backend, model::Formats::widened(ops::Storage::f32), [](int64_t) {});
}

}  // namespace sdxl::test
