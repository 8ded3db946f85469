// Parameters of attention: y = softmax(q · kᵀ · scale) · v for each head, see ops/attention.h.
#pragma once

#include "types.h"

namespace sdxl::cuda {

struct AttentionParameters {
  // 16-bit elements, rows so many elements apart, heads beside each other; aligned to 16 bytes.
  const void* q;  // [batch, queries, heads · width]
  const void* k;  // [kv_batch, keys, heads · width]
  const void* v;  // like k
  void* y;        // [batch, queries, heads · width]
  int64_t q_stride, kv_stride, y_stride;
  int32_t batch, kv_batch, queries, keys, heads;
  int32_t width;  // of a head, a multiple of 8
  float scale;    // log2(e) / √width: the exponentials have base 2

  // For kernels with a mask only.
  const int32_t* key_counts;  // [kv_batch], or null
  const uint8_t* hidden;      // [kv_batch, keys], or null
  int32_t causal;
};

}  // namespace sdxl::cuda
