// Elementary functions over a vector type V.
#pragma once

#include "ops/activation.h"

namespace sdxl::cpu {

// Within 2 ulp. e^x = 2^n · e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2, and a minimax polynomial for e^r (error 2e-9).
// Below −87.33 it is 0, where the result would be subnormal; above 88.37 it stays at e^88.37. NaN stays NaN.
template <class V>
V exp(V x) {
  const V bounded = min(V::all(88.37f), x);
  // Added to a small number, 1.5 · 2^23 leaves the nearest integer in the lowest bits; 127 is the bias of the exponent.
  const V shift = V::all(0x1.8p23f + 127);
  const V shifted = fma(bounded, V::all(1.44269504f), shift);
  const V n = shifted - shift;
  V r = fma(n, V::all(-0.693359375f), bounded);  // ln 2 in two parts, the first so short that n times it is exact
  r = fma(n, V::all(2.12194440e-4f), r);
  V p = V::all(0.0013836835f);
  p = fma(p, r, V::all(0.008374824f));
  p = fma(p, r, V::all(0.041668225f));
  p = fma(p, r, V::all(0.1666642f));
  p = fma(p, r, V::all(0.4999999f));
  p = fma(p, r, V::all(1));
  p = fma(p, r, V::all(1));
  return where_less(x, V::all(-87.33f), V::all(0), p * bits_to_exponent(shifted));
}

template <class V>
V silu(V x) {
  return x / (V::all(1) + exp(V::all(0) - x));
}

template <class V>
V quick_gelu(V x) {
  return x / (V::all(1) + exp(V::all(-1.702f) * x));
}

template <class V>
V relu(V x) {
  return where_less(x, V::all(0), V::all(0), x);
}

// x · Φ(x), error below 2e-7 · max(1, |x|). Φ(−a) = e^(−a²/2) · R(1 / (1 + a/4)) for a ≥ 0, where R is a minimax polynomial for
// erfcx(a / √2) / 2 over 0 ≤ a ≤ 14 (error 5e-9); Φ(a) = 1 − Φ(−a).
template <class V>
V gelu(V x) {
  const V a = max(x, V::all(0) - x);
  const V t = V::all(1) / fma(a, V::all(0.25f), V::all(1));
  V r = V::all(-0.0903003737f);
  r = fma(r, t, V::all(0.333930224f));
  r = fma(r, t, V::all(-0.248099521f));
  r = fma(r, t, V::all(0.256113142f));
  r = fma(r, t, V::all(0.0440525338f));
  r = fma(r, t, V::all(0.103689946f));
  r = fma(r, t, V::all(0.100796834f));
  r = fma(r, t, V::all(-0.000182769072f));
  const V below = exp(V::all(-0.5f) * a * a) * r;
  return x * where_less(x, V::all(0), below, V::all(1) - below);
}

template <class V, ops::Activation activation>
V activated(V x) {
  if constexpr (activation == ops::Activation::silu) return silu(x);
  else if constexpr (activation == ops::Activation::gelu) return gelu(x);
  else if constexpr (activation == ops::Activation::quick_gelu) return quick_gelu(x);
  else if constexpr (activation == ops::Activation::relu) return relu(x);
  else return x;
}

}  // namespace sdxl::cpu
