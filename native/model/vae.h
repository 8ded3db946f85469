// The autoencoder between pictures and latents. Rombach et al. 2022; Diffusers: AutoencoderKL. Sizes come from the tensors' shapes.
#pragma once

#include "model/autoencoder.h"
#include "model/resnet.h"

namespace sdxl::model {

class Vae final : public Autoencoder {
 public:
  explicit Vae(const weights::Component& component);

  // Latents are unscaled; those of `encode` are the mean of the posterior.
  Array decode(const Run& run, ConstTensor latents) const override;
  Array encode(const Run& run, ConstTensor pixels) const override;
  int64_t decode_bytes(int64_t height, int64_t width) const override;
  int64_t encode_bytes(int64_t height, int64_t width) const override;
  bool can_decode() const override { return true; }
  bool can_encode() const override { return true; }
  bool is_scaled() const override { return false; }

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

  const Conv2d *post_quant_ = nullptr, *decoder_in_ = nullptr, *decoder_out_ = nullptr;
  const Conv2d *quant_ = nullptr, *encoder_in_ = nullptr, *encoder_out_ = nullptr;
  const Norm *decoder_norm_ = nullptr, *encoder_norm_ = nullptr;
  std::vector<Level> up_, down_;
  Middle decoder_middle_, encoder_middle_;
};

}  // namespace sdxl::model
