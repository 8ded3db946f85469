#include "model/taesd.h"

#include <algorithm>
#include <cmath>

namespace sdxl::model {

namespace {

constexpr float kLatentRange = 3;  // latents are bent softly into −3 … 3

int doublings(int64_t scale) { return int(std::lround(std::log2(double(scale)))); }

// Small beside the work, so the host does it.
template <class F>
Array bent(const Run& run, ConstTensor values, F function) {
  const ops::HostView view = run.backend.view(values);
  Array x = run.backend.host().take(values.shape());
  for (int64_t i = 0; i < x.elements(); ++i) x.data()[i] = function(view.values[i]);
  return run.backend.to_device(std::move(x), DType::f32);
}

}  // namespace

bool Taesd::fits(const weights::Component& component) {
  const weights::WeightReader reader(component);
  return reader.has_any("decoder.layers.") || reader.has_any("encoder.layers.");
}

Taesd::Taesd(const weights::Component& component) : Autoencoder(component) {
  weights::WeightReader& reader = layers.reader;
  int64_t encoded = 0, reduction = 1;
  if (reader.has_any("decoder.layers.")) {
    latent_channels_ = reader.dim("decoder.layers.0.weight", 1);
    decoder_ = steps("decoder", latent_channels_, 3);
    for (const Step& step : decoder_) scale_ *= step.doubles ? 2 : 1;
  }
  if (reader.has_any("encoder.layers.")) {
    encoder_ = steps("encoder", 3, latent_channels_);
    if (!encoder_.empty()) encoded = encoder_.back().out();
    for (const Step& step : encoder_) reduction *= step.halves ? 2 : 1;
  }
  if (decoder_.empty()) latent_channels_ = encoded, scale_ = reduction;
  else if (!encoder_.empty() && reduction != scale_)
    reader.problem(component.name + ": the encoder halves a picture " + std::to_string(doublings(reduction)) + " times, the decoder doubles it " +
                   std::to_string(doublings(scale_)) + " times");
}

// The layers of one half. Between those that hold tensors the original sequence has ReLUs and, in the decoder, doublings: their numbers are
// free. `out` of the last layer; 0: whatever the file says.
std::vector<Taesd::Step> Taesd::steps(const std::string& side, int64_t in, int64_t out) {
  weights::WeightReader& reader = layers.reader;
  const auto name = [&](int i) { return side + ".layers." + std::to_string(i); };
  const auto present = [&](int i) { return reader.has_any(name(i) + "."); };
  int last = 0;
  while (present(last + 1) || present(last + 2)) ++last;

  std::vector<Step> all;
  for (int i = 0; i <= last; ++i) {
    if (!present(i) && i > 0) continue;
    Step step;
    if (reader.has_any(name(i) + ".conv.")) {
      const std::string conv = name(i) + ".conv.";
      const int64_t width = reader.dim(conv + "0.weight", 0);
      step.block = {layers.conv(conv + "0", in, width), layers.conv(conv + "2", width, width), layers.conv(conv + "4", width, width)};
      if (in != width) step.shortcut = layers.conv(name(i) + ".skip", in, width, 1, false);
      in = width;
    } else {
      const bool ends = i == last;
      // The first and the last one have a bias; those between change the resolution.
      const int64_t width = ends && out ? out : reader.dim(name(i) + ".weight", 0);
      step.conv = layers.conv(name(i), in, width, 3, i == 0 || ends || reader.has(name(i) + ".bias"));
      const bool resamples = i > 0 && !ends;
      if (i == 0 && side == "decoder") step.activation = ops::Activation::relu;
      step.halves = resamples && side == "encoder";
      step.doubles = resamples && side == "decoder";
      in = width;
    }
    all.push_back(std::move(step));
  }
  if (all.size() < 2) reader.problem(side + ": a TAESD has more layers than " + name(0));
  return all;
}

Array Taesd::apply(const Run& caller, const std::vector<Step>& steps, Array x) const {
  const Run run = layers.own(caller);
  constexpr auto relu = ops::Activation::relu;
  for (const Step& step : steps) {
    run.check();
    const auto [batch, height, width, channels] = x.view().dims<4>();
    if (step.conv) {
      const auto resized = [&](int64_t side) { return step.doubles ? 2 * side : step.halves ? (side + 1) / 2 : side; };
      const DType type = &step == &steps.back() ? DType::f32 : run.type;
      Array y = run.take({batch, resized(height), resized(width), step.out()}, type);
      (*step.conv)(run, x, y, {.stride = step.halves ? 2 : 1, .upsample = step.doubles, .activation = step.activation});
      x = std::move(y);
      continue;
    }
    const Shape wide{batch, height, width, step.out()};
    Array first = run.take(wide), second = run.take(wide);
    (*step.block[0])(run, x, first, {.activation = relu});
    (*step.block[1])(run, first, second, {.activation = relu});
    if (step.shortcut) {
      (*step.shortcut)(run, x, first);
      x = std::move(first);
    }
    (*step.block[2])(run, second, x, {.residual = x});
    run.backend.run(ops::Activate{x, x, relu});
  }
  return x;
}

Array Taesd::decode(const Run& run, ConstTensor latents) const {
  Array pixels = run.backend.to_host(apply(run, decoder_, bent(run, latents, [](float x) { return std::tanh(x / kLatentRange) * kLatentRange; })));
  for (int64_t i = 0; i < pixels.elements(); ++i) pixels.data()[i] = pixels.data()[i] * 2 - 1;
  return run.backend.to_device(std::move(pixels), DType::f32);
}

Array Taesd::encode(const Run& run, ConstTensor pixels) const {
  return apply(run, encoder_, bent(run, pixels, [](float x) { return (x + 1) / 2; }));
}

// The peak lies in a block: its input and two tensors of its own width, and one more for the gaps that blocks of unlike size leave.
int64_t Taesd::most_elements(const std::vector<Step>& steps, int64_t in, int64_t pixels) {
  int64_t peak = 0;
  for (const Step& step : steps) {
    const int64_t before = pixels * in;
    if (step.doubles) pixels *= 4;
    if (step.halves) pixels /= 4;
    in = step.out();
    peak = std::max(peak, before + pixels * in * (step.conv ? 1 : 3));
  }
  return peak;
}

int64_t Taesd::decode_bytes(int64_t height, int64_t width) const { return most_elements(decoder_, latent_channels_, height * width) * layers.element_bytes(); }
int64_t Taesd::encode_bytes(int64_t height, int64_t width) const {
  return most_elements(encoder_, 3, height * width * scale_ * scale_) * layers.element_bytes();
}

}  // namespace sdxl::model
