// A tiny autoencoder that stands in for SDXL's VAE: faster by two orders, and close. Bohan 2023 (TAESD); Diffusers: AutoencoderTiny.
// Widths and numbers of blocks come from the tensors.
#pragma once

#include "model/autoencoder.h"

namespace sdxl::model {

class Taesd final : public Autoencoder {
 public:
  // The component has Diffusers' names, decoder.layers.N and encoder.layers.N; one of the two halves may be absent.
  explicit Taesd(const weights::Component& component);
  // Whether these are tensors of a TAESD, by those names.
  static bool fits(const weights::Component& component);

  Array decode(const Run& run, ConstTensor latents) const override;
  Array encode(const Run& run, ConstTensor pixels) const override;
  int64_t decode_bytes(int64_t height, int64_t width) const override;
  int64_t encode_bytes(int64_t height, int64_t width) const override;
  bool can_decode() const override { return !decoder_.empty(); }
  bool can_encode() const override { return !encoder_.empty(); }
  bool is_scaled() const override { return true; }

 private:
  // A convolution alone, or a residual block: three of them with ReLUs between, around a shortcut, and a ReLU behind the sum.
  struct Step {
    const Conv2d* conv = nullptr;
    std::vector<const Conv2d*> block = {};
    const Conv2d* shortcut = nullptr;  // where the block changes the width
    bool doubles = false, halves = false;
    ops::Activation activation = ops::Activation::none;  // behind the convolution alone
    int64_t out() const { return conv ? conv->out : block.back()->out; }
  };
  std::vector<Step> steps(const std::string& side, int64_t in, int64_t out);
  Array apply(const Run& run, const std::vector<Step>& steps, Array x) const;
  static int64_t most_elements(const std::vector<Step>& steps, int64_t in, int64_t pixels);

  std::vector<Step> decoder_, encoder_;
};

}  // namespace sdxl::model
