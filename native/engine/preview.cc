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

Pixels linear_preview(ConstTensor latents) {
  const auto [batch, height, width, channels] = latents.dims<4>();
  const int64_t count = height * width;
  Pixels result{height, width, std::vector<float>(size_t(3 * count))};
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t p = 0; p < count; ++p) {
      float value = kGrey[c];
      for (int64_t k = 0; k < kLatentChannels; ++k) value += latents[p * kLatentChannels + k] * kColours[k][c];
      result.values[size_t(c * count + p)] = value;
    }
  return result;
}

}  // namespace sdxl::engine
