#include "engine/model.h"

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
  const model::Run run{*backend_, &cancelled, request.tiling};
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

void Model::decode(const DecodeRequest& request, const CancelFlag& cancelled, const std::function<void(int64_t, Pixels)>& each) {
  const model::Run run{*backend_, &cancelled, request.tiling};
  const int64_t size = info_.latent_channels * request.height * request.width;
  for (int64_t i = 0; i < request.count; ++i) {
    const Array one = run.take({1, request.height, request.width, info_.latent_channels});
    to_channels_last(request.latents.data() + i * size, one);
    each(i, engine::decode(run, coder(), one, request.tile));
  }
}

std::vector<float> Model::encode_image(const EncodeImageRequest& request, const CancelFlag& cancelled) {
  const model::Run run{*backend_, &cancelled, request.tiling};
  if (!parts_.vae->can_encode())
    throw Error(Code::invalid_argument, "the model cannot encode pictures: the TAESD that stands for its VAE has no encoder; load one that has",
                {{"field", std::string("vae")}});
  return engine::encode(run, coder(), request.picture, request.tile);
}

}  // namespace sdxl::engine
