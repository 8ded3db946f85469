// Launches of the arithmetic between two calls of the network, and of what comes behind the last.
#pragma once

#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "cuda/launch/launch.h"

namespace sdxl::cuda {

// See ops/combine.h; with a mask, y = mask · Σ terms + (1 − mask) · Σ outside.
struct Combine {
  struct Term {
    float coefficient;
    const float* x;  // like y; may be y itself where y is fp32
  };
  DType type;  // of y: f32, f16 or bf16; the network's input is of 16 bits
  std::vector<Term> terms;
  void* y;                           // [images, pixels, channels]
  int64_t count;                     // elements of y
  const float* mask = {};            // [pixels], or null
  std::vector<Term> outside;         // with a mask
  int64_t pixels = 0, channels = 0;  // with a mask
};
// One, or as many as it takes. Throws Error(internal) for more terms than one launch has room for where y is not fp32.
std::vector<Launch> launches_of(const Combine& op);

// y · (1 + share · (deviation of like / deviation of y − 1)) for each image; guidance rescale.
struct Rescale {
  const float* like;  // [images, each]
  float* y;           // in place
  int64_t images, each;
  float share;
};
Launch launch_of(const Rescale& op);

// Each image y without a share of its part along another, shortened to `limit` first; adaptive projected guidance.
struct Project {
  const float* along;  // [images, each]
  float* y;            // in place
  int64_t images, each;
  float share;
  float limit;  // 0: none
};
Launch launch_of(const Project& op);

// The numbers of Philox::normal in core/random.h, channels last.
struct Noise {
  std::vector<uint64_t> seeds;  // one for each image
  uint64_t draw;
  float* y;  // [images, pixels, channels]
  int64_t pixels, channels;
};
std::vector<Launch> launches_of(const Noise& op);

// Pixels of −1 … 1 to bytes: clamp(x / 2 + ½) · 255, rounded half to even.
struct Rgb {
  DType type;     // of x: f32, f16 or bf16
  const void* x;  // [pixels, stride]: red, green and blue first
  uint8_t* y;     // [pixels, 3]
  uint32_t* bad;  // becomes 1 where a value is no number; else it stays
  int64_t pixels, stride;
};
Launch launch_of(const Rgb& op);

}  // namespace sdxl::cuda
