// Inner loops over pairs of bf16, beside the product itself (matrix_kernel.h).
#pragma once

#include "cpu/matrix_kernel.h"

namespace sdxl::cpu {

template <class P>
void round_pairs(const float* from, int64_t rows, int64_t depth, int64_t stride, uint32_t* to, int64_t to_stride) {
  using V = typename P::Sums;
  for (int64_t r = 0; r < rows; ++r, from += stride, to += to_stride) {
    int64_t k = 0;
    for (; k + 2 * V::kWidth <= depth; k += 2 * V::kWidth) P::rounded(V::load(from + k), V::load(from + k + V::kWidth)).store(to + k / 2);
    if (k == depth) continue;
    const int64_t rest = depth - k;
    uint32_t pairs[P::kWidth];
    P::rounded(load_first<V>(from + k, rest), rest > V::kWidth ? load_first<V>(from + k + V::kWidth, rest - V::kWidth) : V::all(0)).store(pairs);
    for (int64_t i = 0; i < (rest + 1) / 2; ++i) to[k / 2 + i] = pairs[i];
  }
}

template <class P>
float peak_of_pairs(int64_t rounds) {
  using V = typename P::Sums;
  V sums[kPeakTerms];
  for (int i = 0; i < kPeakTerms; ++i) sums[i] = V::all(float(i));
  const P factor = P::all(0x3F003E80), term = P::all(0x3C003D00);  // ½ and ¼, small others
  for (int64_t n = 0; n < rounds; ++n)
#pragma GCC unroll 12
    for (int i = 0; i < kPeakTerms; ++i) sums[i] = fma(factor, term, sums[i]);
  V total = sums[0];
  for (int i = 1; i < kPeakTerms; ++i) total = total + sums[i];
  return sum(total);
}

template <class P>
constexpr PairKernels pair_kernels_of() {
  return {.round = round_pairs<P>, .multiply = multiply<P>, .peak = peak_of_pairs<P>};
}

}  // namespace sdxl::cpu
