// Sixteen pairs of bf16 of AVX-512 BF16: Intel's servers since Cooper Lake, AMD's since Zen 4. A pair is one word, the first number in its low
// half.
#pragma once

#include "cpu/vector_avx512.h"

namespace sdxl::cpu {
namespace {

struct Avx512Pairs {
  using Number = uint32_t;
  using Sums = Avx512Vector;
  static constexpr int kWidth = 16;
  static constexpr int kTileRows = Avx512Vector::kTileRows;

  __m512bh raw;

  static Avx512Pairs all(uint32_t pair) { return {(__m512bh)_mm512_set1_epi32(int(pair))}; }
  static Avx512Pairs load(const uint32_t* from) { return {(__m512bh)_mm512_loadu_si512(from)}; }
  void store(uint32_t* to) const { _mm512_storeu_si512(to, (__m512i)raw); }

  // Thirty-two numbers in order, rounded to nearest even; what is subnormal becomes 0.
  static Avx512Pairs rounded(Avx512Vector first, Avx512Vector second) { return {_mm512_cvtne2ps_pbh(second.raw, first.raw)}; }

  // c + the products of both halves, each added in fp32.
  friend Avx512Vector fma(Avx512Pairs a, Avx512Pairs b, Avx512Vector c) { return {_mm512_dpbf16_ps(c.raw, a.raw, b.raw)}; }
};

}  // namespace
}  // namespace sdxl::cpu
