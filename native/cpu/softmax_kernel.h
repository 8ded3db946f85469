// The inner loop of attention between its two products.
#pragma once

#include "cpu/kernels.h"
#include "cpu/vector_math.h"

namespace sdxl::cpu {

template <class V>
void softmax(const SoftmaxBlock& s) {
  const int64_t room = (s.keys + kPanelMax - 1) / kPanelMax * kPanelMax;
  for (int64_t row = 0; row < s.rows; ++row) {
    float* scores = s.scores + row * s.score_stride;
    int64_t visible = s.visible + row * s.visible_step;
    visible = visible < 0 ? 0 : visible < s.keys ? visible : s.keys;
    for (int64_t j = visible; j < room; ++j) scores[j] = -__builtin_inff();

    V tops = V::all(s.top[row]);
    for (int64_t j = 0; j < room; j += V::kWidth) tops = max(tops, V::load(scores + j));
    const float top = largest(tops);
    const V shift = V::all(top);

    V sums = V::all(0);
    for (int64_t j = 0; j < room; j += V::kWidth) {
      const V e = exp(V::load(scores + j) - shift);
      e.store(scores + j);
      sums = sums + e;
    }
    if (top == s.top[row]) {
      s.sum[row] += sum(sums);
      continue;
    }
    const V fall = exp(V::all(s.top[row]) - shift);
    float* y = s.y + row * s.width;
    for (int64_t i = 0; i < s.width; i += V::kWidth) (V::load(y + i) * fall).store(y + i);
    s.sum[row] = s.sum[row] * largest(fall) + sum(sums);
    s.top[row] = top;
  }
}

}  // namespace sdxl::cpu
