// Inner loops of the element-wise ops.
#pragma once

#include "cpu/kernels.h"
#include "cpu/partial_vector.h"
#include "cpu/vector_math.h"

namespace sdxl::cpu {

template <class V, ops::Activation activation>
void activate_as(const float* x, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += V::kWidth) store_first(activated<V, activation>(load_first<V>(x + i, count - i)), y + i, count - i);
}

template <class V>
void activate(const float* x, float* y, int64_t count, ops::Activation activation) {
  using ops::Activation;
  switch (activation) {
    case Activation::none: return activate_as<V, Activation::none>(x, y, count);
    case Activation::silu: return activate_as<V, Activation::silu>(x, y, count);
    case Activation::gelu: return activate_as<V, Activation::gelu>(x, y, count);
    case Activation::quick_gelu: return activate_as<V, Activation::quick_gelu>(x, y, count);
    case Activation::relu: return activate_as<V, Activation::relu>(x, y, count);
  }
}

template <class V>
void combine(const float* const* x, const float* coefficients, int64_t terms, float* y, int64_t count) {
  for (int64_t i = 0; i < count; i += V::kWidth) {
    V sum = V::all(0);
    for (int64_t t = 0; t < terms; ++t) sum = fma(V::all(coefficients[t]), load_first<V>(x[t] + i, count - i), sum);
    store_first(sum, y + i, count - i);
  }
}

}  // namespace sdxl::cpu
