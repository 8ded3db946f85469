// The denoising network. Podell et al. 2023 (SDXL); Diffusers: UNet2DConditionModel. All sizes come from the tensors' shapes.
#pragma once

#include <optional>

#include "model/resnet.h"
#include "model/transformer.h"

namespace sdxl::model {

// What a prompt and the picture's sizes contribute to every call, and the tensors of those calls, which stay so that a device can record them.
struct UnetPrompt {
  PromptKeys keys;
  Array added = {};  // [batch, embedding]: pooled text and size numbers through their embedding

  Array x = {}, y = {};  // see Unet::input and Unet::predict
  Array embedding = {};  // [items, embedding], of the time and `added`
  std::unique_ptr<ops::Backend::Recording> recording = {};
};

class Unet {
 public:
  // `pooled_width`: of the pooled text, which the text encoder decides; what the added embedding reads beyond it are size numbers.
  Unet(const weights::Component& component, int64_t pooled_width);

  // context [batch, tokens, context width]; counts: tokens that exist per item, or empty;
  // pooled [batch, pooled width]; both of the type of its activations. sizes: `size_numbers()` numbers per item. `former`: a prompt of the same
  // batch, tokens and counts whose tensors take the new values, so that what a device recorded with them stays of use.
  UnetPrompt prepare(const Run& run, ConstTensor context, std::vector<int64_t> counts, ConstTensor pooled, const std::vector<float>& sizes,
                     UnetPrompt former = {}) const;

  // What the next call reads: [items, height, width, in_channels] in fp32, with the contents of the last call of that size. Item i belongs to
  // prompt i · prompts / items.
  Tensor input(const Run& run, UnetPrompt& prompt, int64_t items, int64_t height, int64_t width) const;
  // What timesteps contribute to calls: [timesteps, embedding] in fp32. They may lie between two integers.
  Array embed_times(const Run& run, const std::vector<float>& timesteps) const;
  // [items, height, width, out_channels] in fp32, valid until the next call with this prompt. `time`: a row of embed_times.
  ConstTensor predict(const Run& run, ConstTensor time, UnetPrompt& prompt) const;

  int64_t in_channels() const { return in_channels_; }
  int64_t out_channels() const { return conv_out_->out; }
  int64_t context_width() const { return context_width_; }
  int64_t pooled_width() const { return pooled_width_; }
  int64_t size_numbers() const { return size_numbers_; }

  Layers layers;

 private:
  struct Level {
    std::vector<Resnet> resnets;
    std::vector<Transformer> transformers;  // as many as ResNets, or none
    const Conv2d* resample = nullptr;       // the way down: stride 2; the way up: behind a doubling
  };
  template <class F>
  void each_transformer(F visit) const;
  void forward(const Run& run, const UnetPrompt& prompt) const;

  int64_t in_channels_ = 0, context_width_ = 0, pooled_width_ = 0, size_numbers_ = 0, embedding_ = 0;
  const Linear *time1_ = nullptr, *time2_ = nullptr, *added1_ = nullptr, *added2_ = nullptr;
  const Conv2d *conv_in_ = nullptr, *conv_out_ = nullptr;
  const Norm* norm_out_ = nullptr;
  std::vector<Level> down_, up_;
  Level middle_;
};

}  // namespace sdxl::model
