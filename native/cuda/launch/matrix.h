// Launches of the tensor-core products: linear layers and convolutions, see kernels/matrix_parameters.h for what they compute.
#pragma once

#include <optional>
#include <vector>

#include "cuda/kernels/matrix_parameters.h"
#include "cuda/kernels/wgmma_parameters.h"
#include "cuda/launch/encoder.h"
#include "cuda/launch/launch.h"
#include "cuda/launch/tiles.h"

namespace sdxl::cuda {

// What happens to the sums: y = activation(scale · sum + bias + per_image) + residual.
struct Epilogue {
  void* y;                           // [rows, columns], with geglu [rows, columns / 2]
  int64_t y_stride = 0;              // elements from row to row; 0: no gap
  bool y_float = false;              // y is fp32
  const float* bias = nullptr;       // [columns], or null
  const float* per_image = nullptr;  // [images, columns], or null
  const void* residual = nullptr;    // like y but never fp32, or null; may be y itself
  int64_t residual_stride = 0;       // like y_stride
  MatrixActivation activation = MatrixActivation::none;
  float scale = 1;
};

// Σ x · wᵀ over one or more products: a low-rank addition is a second one, of (x · downᵀ) and up.
struct Linear {
  struct Product {
    const void* x;         // [rows, inner]
    const void* w;         // [columns, inner]
    int64_t inner;         // a multiple of 8
    int64_t x_stride = 0;  // 0: inner
    int64_t w_stride = 0;
  };
  Element element;
  int64_t rows, columns;
  std::vector<Product> products;
  int64_t rows_per_image = 0;  // for per_image
  Epilogue epilogue;
};

struct Conv2d {
  struct Source {
    const void* x;     // [batch, x_height, x_width, channels]
    int64_t channels;  // a multiple of 8: pictures of 3, 4 or 9 channels are stored with zeros behind
  };
  Element element;
  std::vector<Source> sources;  // one, or two whose channels stand behind each other
  const void* w;                // [columns][kernel_height][kernel_width][channels of all sources]
  int64_t batch, x_height, x_width, y_height, y_width, columns;
  int kernel_height = 3, kernel_width = 3;
  int stride = 1, padding = 1;  // padding before the left and upper edge; y's size says how much lies behind
  bool upsample = false;        // reads x as if each pixel stood 2×2 times; that picture has y's size
  bool wrap_x = false, wrap_y = false;
  std::optional<Linear::Product> added = {};  // [pixels of y, inner] · [columns, inner]: the second half of a low-rank addition
  Epilogue epilogue;
};

// Throw Error(Code::internal) for what no kernel can do. `tile` overrides the choice, for measurements and tests.
Launch launch_of(const Linear& op, const Chip& chip, std::optional<TileChoice> tile = {});
Launch launch_of(const Conv2d& op, const Chip& chip, std::optional<TileChoice> tile = {});

// The same by the kernels of sm_90a.
Launch wgmma_launch_of(const Linear& op, const Chip& chip, const TensorMapEncoder& encode, std::optional<TileChoice> tile = {});
Launch wgmma_launch_of(const Conv2d& op, const Chip& chip, const TensorMapEncoder& encode, std::optional<TileChoice> tile = {});
// Whether those can do this at all.
bool wgmma_can(const Linear& op);
bool wgmma_can(const Conv2d& op);
// By the family that is thought faster, until both are measured: wgmma where it can, but for few rows or columns, which its tiles waste.
Launch fastest_launch_of(const Linear& op, const Chip& chip, const TensorMapEncoder& encode);
Launch fastest_launch_of(const Conv2d& op, const Chip& chip, const TensorMapEncoder& encode);

}  // namespace sdxl::cuda
