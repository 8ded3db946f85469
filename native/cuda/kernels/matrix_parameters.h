// Parameters of the matrix products: y = activation(scale · Σ x · wᵀ + bias + per_image) + residual. Linear layers, convolutions as
// products over (tap, channel), and low-rank additions are all sums over segments of the inner dimension.
#pragma once

#include "types.h"

namespace sdxl::cuda {

enum class MatrixActivation : int32_t {
  none,
  silu,
  gelu,
  quick_gelu,
  relu,
  geglu,  // columns are value, gate, value, gate, …; y has half as many: value · gelu(gate)
};

// A stretch of the inner dimension: its own x, its own columns of w. A skip connection is a second segment, so is a low-rank addition.
struct MatrixSegment {
  const void* x;     // [rows or pixels, channels], 16-bit elements, aligned to 16 bytes
  const void* w;     // [columns][taps][channels]
  int64_t x_stride;  // elements from row to row, a multiple of 8
  int64_t w_stride;  // elements from column to column, a multiple of 8
  int64_t w_tap;     // elements from tap to tap, a multiple of 8
  int32_t chunks;    // channels / 8
  int32_t taps;      // of the convolution's kernel; 1: reads row i for row i of y, whatever the picture's geometry
  int32_t steps;     // rounds of eight chunks: ⌈taps · chunks / 8⌉
};

// Where a convolution reads. Row i of y is pixel (i / y_width % y_height, i % y_width) of image i / (y_height · y_width).
struct Picture {
  int32_t x_height, x_width;        // as stored
  int32_t seen_height, seen_width;  // as the kernel sees it: doubled where upsampling
  int32_t y_height, y_width;
  int32_t kernel_width;
  int32_t stride, padding;  // padding before the left and upper edge
  int32_t shift;            // 1 where upsampling: stored pixel = seen pixel / 2
  int32_t wrap_x, wrap_y;   // beyond the edge lies the other side, not zero
};

struct MatrixParameters {
  static constexpr int kSegments = 3;
  MatrixSegment segments[kSegments];
  Picture picture;  // of convolutions
  int32_t segment_count;
  int32_t rows, columns;  // of the product; with geglu y has columns / 2
  int32_t stages;         // 2 … 4 buffers for tiles under way
  int32_t row_tiles, column_tiles;

  const float* bias;       // [columns], or null; with geglu the values' first, then the gates', as a layer has them
  const float* per_image;  // [images, columns], or null
  int32_t rows_per_image;
  const void* residual;  // like y, 16-bit elements, or null
  int64_t residual_stride;
  void* y;
  int64_t y_stride;
  int32_t y_float;  // y is fp32
  int32_t vectors;  // columns of y, strides and addresses allow reading and writing eight at once
  MatrixActivation activation;
  float scale;
};

}  // namespace sdxl::cuda
