// The autoencoder between pictures and latents. Rombach et al. 2022; Diffusers: AutoencoderKL. Sizes come from the tensors' shapes.
#pragma once

#include "model/resnet.h"

namespace sdxl::model {

class Vae {
 public:
  explicit Vae(const weights::Component& component);

  // latents [1, height, width, latent channels], unscaled → pixels [1, height · scale, width · scale, 3], about −1 … 1.
  Array decode(const Run& run, ConstTensor latents) const;
  // The same from overlapping tiles of `tile` latents a side, blended over a quarter of it: bounded memory for large
  // pictures, at the price of small differences (each tile has its own normalisation). Diffusers: tiled_decode.
  Array decode_tiled(const Run& run, ConstTensor latents, int64_t tile) const;
  // pixels [1, height, width, 3] → mean of the posterior [1, height / scale, width / scale, latent channels], unscaled.
  Array encode(const Run& run, ConstTensor pixels) const;

  // Most bytes `decode` holds at once for latents of this size.
  int64_t decode_bytes(int64_t height, int64_t width) const;

  int64_t latent_channels() const { return latent_channels_; }
  int64_t scale() const { return scale_; }  // pixels per latent, along one side
  Layers layers;

 private:
  struct Level {
    std::vector<Resnet> resnets;
    const Conv2d* resample = nullptr;
  };
  // One head over all pixels, as wide as the channels.
  struct Attention {
    const Norm* norm;
    const Linear *qkv, *out;
    void operator()(const Run& run, Tensor x) const;
  };
  struct Middle {
    std::vector<Resnet> resnets;
    Attention attention;
    Array operator()(const Run& run, ConstTensor x) const;
  };
  Level level(const std::string& name, int64_t in, const char* resample);
  Middle middle(const std::string& name, int64_t channels);

  int64_t latent_channels_ = 0, scale_ = 1;
  const Conv2d *post_quant_ = nullptr, *decoder_in_ = nullptr, *decoder_out_ = nullptr;
  const Conv2d *quant_ = nullptr, *encoder_in_ = nullptr, *encoder_out_ = nullptr;
  const Norm *decoder_norm_ = nullptr, *encoder_norm_ = nullptr;
  std::vector<Level> up_, down_;
  Middle decoder_middle_, encoder_middle_;
};

}  // namespace sdxl::model
