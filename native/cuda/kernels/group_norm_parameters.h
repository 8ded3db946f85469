// Group normalisation in two launches: moments of pieces of the picture, then the merged moments applied.
#pragma once

#include "types.h"

namespace sdxl::cuda {

constexpr int kGroupNormThreads = 256;

// A block works on a slab, some groups side by side that begin and end at a whole vector, of a piece of the pixels of one image.
// Grid: (pieces, slabs, images).
struct GroupNormParameters {
  const void* x;        // [images, pixels, channels]
  void* y;              // like x; may be x itself
  const float* weight;  // [channels]
  const float* bias;    // [channels]
  float2* moments;      // [images, groups, pieces]: mean, and the sum of squared distances from it
  int64_t pixels;
  int32_t channels, groups;
  int32_t slab;            // channels of a slab
  int32_t pieces;          // that the moments are of
  int32_t pixels_a_piece;  // the last piece may be shorter
  int32_t pixels_a_block;  // of the second launch
  float eps;
  int32_t silu;
};

}  // namespace sdxl::cuda
