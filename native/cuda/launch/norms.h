// Launches of the normalisations; for what they compute see ops/group_norm.h and ops/layer_norm.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cuda/launch/launch.h"

namespace sdxl::cuda {

struct GroupNorm {
  Element element;
  const void* x;        // [images, pixels, channels]
  void* y;              // like x; may be x itself
  const float* weight;  // [channels]
  const float* bias;    // [channels]
  void* scratch;        // group_norm_scratch bytes
  int64_t images, pixels, channels;
  int groups;
  float eps;
  bool silu;
};

size_t group_norm_scratch(int64_t images, int64_t pixels, int groups);
// One behind the other. Throws Error(internal) for groups too wide for a block.
std::array<Launch, 2> launches_of(const GroupNorm& op);

struct LayerNorm {
  Element element;
  const void* x;        // [rows, channels]
  void* y;              // like x; may be x itself
  const float* weight;  // [channels]
  const float* bias;    // [channels]
  int64_t rows, channels;
  float eps;
};

Launch launch_of(const LayerNorm& op);

}  // namespace sdxl::cuda
