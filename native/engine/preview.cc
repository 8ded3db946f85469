#include "engine/preview.h"

namespace sdxl::engine {

namespace {

constexpr int64_t kLatentChannels = 4;
// What SDXL's latent channels say about a colour: a linear fit of pixels −1 … 1, as published with ComfyUI (latent_formats, SDXL).
constexpr float kColours[kLatentChannels][3] = {
    {0.3651f, 0.4232f, 0.4341f},
    {-0.2533f, -0.0042f, 0.1068f},
    {0.1076f, 0.1111f, -0.0362f},
    {-0.3165f, -0.2492f, -0.2188f},
};
constexpr float kGrey[3] = {0.1084f, -0.0175f, -0.0011f};

}  // namespace

void require_linear_preview(int64_t latent_channels) {
  if (latent_channels == kLatentChannels) return;
  throw Error(Code::invalid_argument,
              "preview: the method 'linear' is for SDXL's 4 latent channels, and this model has " + std::to_string(latent_channels) + "; use 'vae'",
              {{"field", std::string("preview.method")}, {"found", latent_channels}, {"wanted", kLatentChannels}});
}

Array linear_preview(const model::Run& run, ConstTensor latents) {
  const auto [batch, height, width, channels] = latents.dims<4>();
  const ops::HostView view = run.backend.view(latents);
  Array pixels = run.backend.host().take({1, height, width, 3});
  for (int64_t p = 0; p < height * width; ++p)
    for (int64_t c = 0; c < 3; ++c) {
      float value = kGrey[c];
      for (int64_t k = 0; k < kLatentChannels; ++k) value += view.values[p * kLatentChannels + k] * kColours[k][c];
      pixels.data()[3 * p + c] = value;
    }
  return run.backend.to_device(std::move(pixels), DType::f32);
}

}  // namespace sdxl::engine
