// Arithmetic on latents between two calls of the network, all in fp32: [images, pixels, channels].
#pragma once

#include "flat_parameters.h"
#include "types.h"

namespace sdxl::cuda {

constexpr int kImageThreads = 1024;  // one block does an image

// y = keep · y + mask · Σ inside + (1 − mask) · Σ outside; without a mask, y = keep · y + Σ inside.
struct CombineParameters {
  static constexpr int kTerms = 32;
  const float* x[kTerms];  // like y, or y itself
  float coefficients[kTerms];
  int32_t inside, outside;  // terms of each kind, the outside ones last
  int32_t keep;             // 1 or 0
  int32_t channels;
  const float* mask;  // [pixels], or null
  void* y;
  int64_t count, pixels;
};

// ops::Rescale and ops::Project, in place.
struct GuidanceParameters {
  const float* like;  // [images, each]; the conditional prediction
  float* y;           // like it
  int64_t each;       // elements of an image
  float share;
  float limit;  // of Project; 0: none
};

// Philox::normal of core/random.h in our order of elements.
struct NoiseParameters {
  static constexpr int kImages = 32;
  uint64_t seeds[kImages];
  uint64_t draw;
  float* y;  // [images, pixels, channels]
  int64_t images, pixels, channels;
};

// Pixels of about −1 … 1 to bytes.
struct RgbParameters {
  const void* x;  // [pixels, stride], of which the first three are red, green and blue
  uint8_t* y;     // [pixels, 3]
  uint32_t* bad;  // becomes 1 where a value is no number
  int64_t pixels, stride;
};

}  // namespace sdxl::cuda
