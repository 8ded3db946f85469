// One request from prompts to pictures.
#include <algorithm>
#include <chrono>

#include "engine/layout.h"
#include "engine/model.h"

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

// values [1 or images, channels, height, width] → [images, height, width, channels]; no tensor for no values.
Array for_each_image(const model::Run& run, const std::vector<float>& values, Shape shape) {
  return values.empty() ? Array() : channels_last(run, values.data(), int64_t(values.size()) / (shape.elements() / shape[0]), shape);
}

}  // namespace

std::vector<Conditioning> Model::encode_all(const model::Run& run, const TextEncoders& encoders, const std::vector<Prompt>& prompts,
                                            std::vector<Warning>& warnings) {
  std::vector<Conditioning> result;
  for (const Prompt& prompt : prompts) {
    result.push_back(encode(run, encoders, prompt, prompt_cache_));
    for (const Warning& warning : result.back().warnings)
      if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end()) warnings.push_back(warning);
  }
  return result;
}

void Model::require_preview(const PreviewRequest& request) const {
  if (!request.every) return;
  if (request.method == PreviewMethod::taesd && !info_.has_taesd)
    throw Error(Code::invalid_argument, "preview: the method 'taesd' needs a TAESD, and this model was loaded without one; give its file to loadModel as taesd",
                {{"field", std::string("preview.method")}});
  if (request.method == PreviewMethod::linear) require_linear_preview(info_.latent_channels);
}

// denoised [1, height, width, channels]
Array Model::preview(const model::Run& run, PreviewMethod method, ConstTensor denoised) const {
  if (method == PreviewMethod::linear) return linear_preview(run, denoised);
  if (method == PreviewMethod::taesd && taesd_) return engine::decode(run, {*taesd_, latent_scale_}, denoised);
  return engine::decode(run, coder(), denoised);
}

GenerateResult Model::generate(const GenerateRequest& request, const CancelFlag& cancelled) {
  const model::Run run{*backend_, &cancelled, request.tiling};
  require_preview(request.preview);
  GenerateResult result;
  Stopwatch watch;

  loras_->use(run, request.loras, parts_, result.warnings);
  result.loras = watch.lap();

  const auto conditionings = encode_all(run, text_encoders(), request.prompts, result.warnings);
  std::vector<Conditioning> refiner_conditionings;
  if (request.refiner) refiner_conditionings = encode_all(run, refiner_->text_encoders(), request.refiner->prompts, result.warnings);
  result.encode = watch.lap();

  const Array latents = denoise(run, request, conditionings, refiner_conditionings);
  result.denoise = watch.lap();

  if (request.decodes) {
    for (int64_t i = 0; i < latents.shape()[0]; ++i) request.on_image(int(i), to_rgb(run, engine::decode(run, coder(), latents.view().item(i))));
  } else {
    result.latents = channels_first(run, latents);
  }
  result.decode = watch.lap();
  return result;
}

Array Model::denoise(const model::Run& run, const GenerateRequest& request, const std::vector<Conditioning>& conditionings,
                     const std::vector<Conditioning>& refiner_conditionings) {
  const int64_t pictures = int64_t(request.seeds.size()), height = request.height, width = request.width, channels = info_.latent_channels;
  const Shape shape{pictures, height, width, channels};
  Noise noise(run, request.rng, request.seeds, channels, height, width);
  const Array start = request.start.empty() ? noise.start(request.variation) : for_each_image(run, request.start, shape);
  const Array init = for_each_image(run, request.init, shape);
  const Array extra = for_each_image(run, request.extra, {pictures, height, width, info_.in_channels - channels});

  const Array mask = request.mask.empty() ? Array() : run.on_device(request.mask, {height, width}, DType::f32);

  const bool reads_uncond = request.plan.reads(Plan::kUncond);
  std::optional<PromptSchedule> base, refined;
  spares_.only(std::to_string(loras_->weights()) + (request.tiling.x ? " x" : "") + (request.tiling.y ? " y" : ""));
  base.emplace(run, *parts_.unet, conditionings, request.branches, request.sizes, reads_uncond, &spares_);
  const auto network = [&](size_t call) -> NetworkCall {
    if (!request.refiner || int(call) < request.refiner->from) return {parts_.unet.get(), prediction_, &base->at(call)};
    if (!refined) {
      base.reset();  // its keys and values are not needed any more
      refined.emplace(run, *refiner_->parts.unet, refiner_conditionings, request.refiner->branches, request.refiner->sizes, reads_uncond, nullptr);
    }
    return {refiner_->parts.unet.get(), refiner_->prediction, &refined->at(call)};
  };
  Stopwatch step;
  int steps = 0;
  const auto on_step = [&](int index, double sigma, ConstTensor denoised) {
    request.on_step(index, sigma, step.lap());
    if (!request.preview.every || ++steps % request.preview.every || !denoised) return;
    for (int64_t i = 0; i < pictures; ++i) {
      const Array pixels = preview(run, request.preview.method, denoised.item(i));
      request.on_preview(index, int(i), pixels.shape()[1], pixels.shape()[2], to_rgb(run, pixels));
    }
    step.lap();  // a preview's time is no step's
  };
  return sample(run, {
                         .plan = request.plan,
                         .network = network,
                         .rescale = request.rescale,
                         .projection = request.projection,
                         .noise = noise,
                         .start = start,
                         .init = init,
                         .extra = extra,
                         .mask = mask,
                         .on_step = on_step,
                     });
}

}  // namespace sdxl::engine
