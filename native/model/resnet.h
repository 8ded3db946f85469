// The residual block of UNet and VAE: norm, SiLU, convolution, twice, around a shortcut. He et al. 2016; Diffusers: ResnetBlock2D.
#pragma once

#include "model/layers.h"

namespace sdxl::model {

class Resnet {
 public:
  // `embedding`: width of the time embedding, 0 in the VAE.
  Resnet(Layers& layers, const std::string& name, int64_t in, int64_t out, int64_t embedding, float eps);

  // x [batch, height, width, in]; silu_embedding [batch, embedding], already through its SiLU.
  Array operator()(const Run& run, ConstTensor x, ConstTensor silu_embedding = {}) const;
  int64_t out() const { return conv1_->out; }

 private:
  float eps_;
  const Norm *norm1_, *norm2_;
  const Conv2d *conv1_, *conv2_, *shortcut_ = nullptr;
  const Linear* embedding_ = nullptr;
};

}  // namespace sdxl::model
