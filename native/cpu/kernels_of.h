// The table of one instruction set, from its vector type. Include it in isa_*.cc only.
#pragma once

#include "cpu/element_kernel.h"
#include "cpu/matrix_kernel.h"
#include "cpu/norm_kernel.h"
#include "cpu/softmax_kernel.h"

namespace sdxl::cpu {

template <class V>
constexpr Kernels kernels_of(const char* name, const PairKernels* pairs = nullptr) {
  return {
      .name = name,
      .panel = 2 * V::kWidth,
      .tile_rows = V::kTileRows,
      .widen_f16 = widen<V, false>,
      .widen_bf16 = widen<V, true>,
      .multiply = multiply<V>,
      .finish = finish<V>,
      .softmax = softmax<V>,
      .channel_sums = channel_sums<V>,
      .normalize = normalize<V>,
      .layer_norm = layer_norm<V>,
      .activate = activate<V>,
      .combine = combine<V>,
      .peak = peak<V>,
      .pairs = pairs,
  };
}

}  // namespace sdxl::cpu
