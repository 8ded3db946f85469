// 2-D convolution: y = activation(conv(x) + bias + per_image) + residual.
#pragma once

#include "ops/activation.h"
#include "ops/weight.h"

namespace sdxl::ops {

struct Conv2d {
  ConstTensor x;               // [batch, height, width, in]
  const Packed* weight;        // [out, in, kernel height, kernel width]
  ConstTensor bias = {};       // [out], or none
  ConstTensor per_image = {};  // [batch, out], or none: the time embedding of a ResNet block
  ConstTensor residual = {};   // like y, or none; may be y itself
  Tensor y;                    // [batch, out height, out width, out]; its size says how much padding lies behind the right and lower edge
  int stride = 1;
  int padding = 1;  // before the left and upper edge; 0 in the VAE's downsamplers, which pad behind only
  // Reads x as if each pixel stood 2×2 times (nearest), so the larger picture never exists. That picture has y's size: twice x's, or one
  // less where a skip connection of odd size waits; what lies beyond is padding.
  bool upsample = false;
  // What lies beyond the left and right edge, the upper and lower edge, is the picture again from its other side; else it is 0.
  bool wrap_x = false, wrap_y = false;
  Activation activation = Activation::none;
  LowRank added = {};
};

}  // namespace sdxl::ops
