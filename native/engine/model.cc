#include "engine/model.h"

#include "engine/layout.h"

namespace sdxl::engine {

int64_t Model::peak_bytes() const { return beside_arena_ + int64_t(backend_->arena().peak()); }

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
  std::vector<Warning> warnings;
  loras_->use(run, request.loras, parts_, warnings);
  const DType type = parts_.unet->layers.own(run).type;
  std::vector<float> sizes;
  for (int64_t p = 0; p < request.prompts; ++p) sizes.insert(sizes.end(), request.sizes.begin(), request.sizes.end());
  const Array context = run.on_device(request.context, {request.prompts, request.tokens, info_.context_width}, type);
  const Array pooled = run.on_device(request.pooled, {request.prompts, info_.pooled_width}, type);
  model::UnetPrompt prompt = parts_.unet->prepare(run, context, {}, pooled, sizes);
  const Tensor x = parts_.unet->input(run, prompt, request.count, request.height, request.width);
  run.backend.run(ops::Combine{{{1, channels_last(run, request.latents.data(), request.count, x.shape())}}, x});
  const Array time = parts_.unet->embed_times(run, {float(request.timestep)});
  return channels_first(run, parts_.unet->predict(run, time, prompt));
}

void Model::decode(const DecodeRequest& request, const CancelFlag& cancelled, const std::function<void(int64_t, Decoded)>& each) {
  const model::Run run{*backend_, &cancelled, request.tiling};
  const int64_t size = info_.latent_channels * request.height * request.width;
  for (int64_t i = 0; i < request.count; ++i) {
    const Array latents = channels_last(run, request.latents.data() + i * size, 1, {1, request.height, request.width, info_.latent_channels});
    const Array pixels = engine::decode(run, coder(), latents, request.tile);
    each(i, request.as_floats ? Decoded{channels_first(run, pixels), {}} : Decoded{{}, to_rgb(run, pixels)});
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
