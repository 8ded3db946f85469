#include "engine/model.h"

#include <algorithm>
#include <cmath>

#include "engine/layout.h"

namespace sdxl::engine {

int64_t Model::peak_bytes() const { return info_.weight_bytes + int64_t(backend_->arena().peak()); }

Conditioning Model::encode_prompt(const Prompt& prompt, const LoraRequest& loras, const CancelFlag& cancelled) {
  const model::Run run{*backend_, &cancelled};
  std::vector<Warning> warnings;
  loras_->use(run, loras, parts_, warnings);
  Conditioning result = encode(run, text_encoders(), prompt, prompt_cache_);
  result.warnings.insert(result.warnings.begin(), warnings.begin(), warnings.end());
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
  Array x = run.take({request.count, request.height, request.width, info_.in_channels}), y = run.take({request.count, request.height, request.width, channels});
  to_channels_last(request.latents.data(), x);
  parts_.unet->predict(run, x, float(request.timestep), prompt, y);
  std::vector<float> predicted(size_t(y.elements()));
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

std::vector<float> Model::encode_image(const std::vector<uint8_t>& rgb, const std::vector<uint8_t>& hidden, int64_t height, int64_t width,
                                       const CancelFlag& cancelled) {
  const model::Run run{*backend_, &cancelled};
  Array pixels = run.take({1, height, width, 3});
  for (int64_t i = 0; i < pixels.elements(); ++i) pixels.data()[i] = float(rgb[size_t(i)]) / 255.f * 2.f - 1.f;
  for (size_t p = 0; p < hidden.size(); ++p)
    if (hidden[p]) std::fill_n(pixels.data() + 3 * p, 3, 0.f);
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
