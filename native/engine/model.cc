#include "engine/model.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/layout.h"

namespace sdxl::engine {

namespace {

class Stopwatch {
 public:
  double milliseconds() const { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count(); }
  double lap() {
    const double passed = milliseconds();
    start_ = std::chrono::steady_clock::now();
    return passed;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

int64_t Model::peak_bytes() const { return info_.weight_bytes + int64_t(backend_->arena().peak()); }

Conditioning Model::encode_prompt(const Prompt& prompt, const LoraRequest& loras, const CancelFlag& cancelled) {
  const model::Run run{*backend_, &cancelled};
  std::vector<Warning> warnings;
  loras_->use(run, loras, parts_, warnings);
  Conditioning result = encode(run, *parts_.text_encoder, *parts_.text_encoder_2, loras_->text_state(), prompt, prompt_cache_);
  result.warnings.insert(result.warnings.begin(), warnings.begin(), warnings.end());
  return result;
}

GenerateResult Model::generate(const GenerateRequest& request, const CancelFlag& cancelled) {
  const model::Run run{*backend_, &cancelled};
  GenerateResult result;
  Stopwatch watch;

  loras_->use(run, request.loras, parts_, result.warnings);
  result.loras = watch.lap();

  std::vector<Conditioning> conditionings;
  for (const Prompt& prompt : request.prompts) {
    conditionings.push_back(encode(run, *parts_.text_encoder, *parts_.text_encoder_2, loras_->text_state(), prompt, prompt_cache_));
    for (const Warning& warning : conditionings.back().warnings)
      if (std::find(result.warnings.begin(), result.warnings.end(), warning) == result.warnings.end()) result.warnings.push_back(warning);
  }
  std::vector<double> weights;
  for (const Branch& branch : request.branches) weights.push_back(branch.weight);
  result.encode = watch.lap();

  const int64_t pictures = int64_t(request.seeds.size()), channels = info_.latent_channels;
  Noise noise(request.rng, request.seeds, channels, request.height, request.width);
  Array latents;
  {
    PromptSchedule schedule(run, *parts_.unet, conditionings, request.branches, request.sizes);
    Array start;
    if (request.start.empty()) start = noise.draw(backend_->arena(), 0);
    else to_channels_last(request.start.data(), start = run.take({pictures, request.height, request.width, channels}));
    Stopwatch step;
    latents = sample(run, {
                              .plan = request.plan,
                              .unet = *parts_.unet,
                              .weights = weights,
                              .prompt = [&](size_t call) -> const model::UnetPrompt& { return schedule.at(call); },
                              .prediction = prediction_,
                              .noise = noise,
                              .start = start,
                              .on_step = [&](int index, double sigma) { request.on_step(index, sigma, step.lap()); },
                          });
  }
  result.denoise = watch.lap();

  for (int64_t i = 0; i < pictures; ++i) request.on_image(int(i), to_rgb(decode_one(run, latents.view().item(i))));
  result.decode = watch.lap();
  return result;
}

std::vector<float> Model::predict(const PredictRequest& request, const CancelFlag& cancelled) {
  const model::Run run{*backend_, &cancelled};
  const int64_t channels = info_.latent_channels;
  std::vector<Warning> warnings;
  loras_->use(run, request.loras, parts_, warnings);
  const auto host = [](const std::vector<float>& values, Shape shape) { return ConstTensor(values.data(), shape); };
  std::vector<float> sizes;
  for (int64_t p = 0; p < request.prompts; ++p) sizes.insert(sizes.end(), request.sizes.begin(), request.sizes.end());
  const model::UnetPrompt prompt = parts_.unet->prepare(run, host(request.context, {request.prompts, request.tokens, info_.context_width}), {},
                                                        host(request.pooled, {request.prompts, info_.pooled_width}), sizes);
  Array x = run.take({request.count, request.height, request.width, channels}), y = run.take(x.shape());
  to_channels_last(request.latents.data(), x);
  parts_.unet->predict(run, x, float(request.timestep), prompt, y);
  std::vector<float> predicted(request.latents.size());
  to_channels_first(y, predicted.data());
  return predicted;
}

void Model::decode(const std::vector<float>& latents, int64_t count, int64_t height, int64_t width, int64_t tile, const CancelFlag& cancelled,
                   const std::function<void(int64_t, Pixels)>& each) {
  const model::Run run{*backend_, &cancelled};
  const int64_t size = info_.latent_channels * height * width;
  for (int64_t i = 0; i < count; ++i) {
    Array one = run.take({1, height, width, info_.latent_channels});
    to_channels_last(latents.data() + i * size, one);
    each(i, decode_one(run, one, tile));
  }
}

Pixels Model::decode_one(const model::Run& run, ConstTensor latents, int64_t tile) {
  Array unscaled = run.take(latents.shape());
  run.backend.run(ops::Combine{{{float(1 / latent_scale_), latents}}, unscaled});
  const int64_t height = latents.shape()[1], width = latents.shape()[2];
  if (tile == 0) tile = affordable_tile(height, width);
  const Array pixels = tile >= std::max(height, width) ? parts_.vae->decode(run, unscaled) : parts_.vae->decode_tiled(run, unscaled, tile);
  Pixels result{pixels.shape()[1], pixels.shape()[2], std::vector<float>(size_t(pixels.elements()))};
  to_channels_first(pixels, result.values.data());
  return result;
}

// Tiles are slower and not quite the same picture, so only a memory budget asks for them, and for the largest that fit.
int64_t Model::affordable_tile(int64_t height, int64_t width) const {
  Arena& arena = backend_->arena();
  int64_t tile = std::max(height, width);
  if (!arena.limit()) return tile;
  const int64_t free = int64_t(arena.room(size_t(parts_.vae->decode_bytes(height, width))));
  const auto fits = [&](int64_t side, int64_t beside) { return parts_.vae->decode_bytes(std::min(side, height), std::min(side, width)) + beside <= free; };
  if (fits(tile, 0)) return tile;
  // The picture and a row of finished tiles stay beside the tile that is being decoded.
  const int64_t picture = height * width * info_.scale * info_.scale * 3 * int64_t(sizeof(float));
  constexpr int64_t kSmallest = 8;
  for (tile = (tile - 1) / 4 * 4; tile > kSmallest && !fits(tile, 2 * picture);) tile -= 4;
  return tile;
}

std::vector<float> Model::encode_image(const std::vector<uint8_t>& rgb, int64_t height, int64_t width, const CancelFlag& cancelled) {
  const model::Run run{*backend_, &cancelled};
  Array pixels = run.take({1, height, width, 3});
  for (int64_t i = 0; i < pixels.elements(); ++i) pixels.data()[i] = float(rgb[size_t(i)]) / 255.f * 2.f - 1.f;
  Array mean = parts_.vae->encode(run, pixels);
  run.backend.run(ops::Combine{{{float(latent_scale_), mean}}, mean});
  std::vector<float> latents(size_t(mean.elements()));
  to_channels_first(mean, latents.data());
  return latents;
}

std::vector<uint8_t> to_rgb(const Pixels& pixels) {
  const int64_t count = pixels.height * pixels.width;
  std::vector<uint8_t> rgb(size_t(3 * count));
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t p = 0; p < count; ++p) {
      const float value = pixels.values[size_t(c * count + p)];
      if (std::isnan(value)) throw Error(Code::internal, "the VAE returned pixels that are no numbers; are the latents finite?");
      const float v = std::clamp(value / 2 + 0.5f, 0.f, 1.f);
      rgb[size_t(3 * p + c)] = uint8_t(std::nearbyint(v * 255));
    }
  return rgb;
}

}  // namespace sdxl::engine
