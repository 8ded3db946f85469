// Parameters of the sm_90a products: the same sums and epilogue as matrix_parameters.h, their operands as tensor maps.
#pragma once

#include "matrix_parameters.h"
#include "tensor_map.h"

namespace sdxl::cuda {

struct WgmmaSegment {
  TensorMap x;  // [rows, channels]; of a convolution [images, height, width, channels]
  TensorMap w;  // [columns, taps, channels]
  int32_t taps;
  int32_t chunks;   // ⌈channels / 64⌉
  int32_t padding;  // before the left and upper edge
};

struct WgmmaParameters {
  static constexpr int kSegments = 2;
  WgmmaSegment segments[kSegments];
  // Of matrix_parameters.h, without segments. A convolution's row tiles are boxes of pixels of one image: [images][box rows][box columns], and where
  // upsampling of x rather than y, with [2][2] behind for the pixels of y.
  MatrixParameters matrix;
  int32_t box_shift;         // log2 of a box's width; it has 128 pixels
  int32_t boxes_x, boxes_y;  // of an image
};

}  // namespace sdxl::cuda
