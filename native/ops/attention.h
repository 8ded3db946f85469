// y = softmax(q · kᵀ / √width) · v for each head. Vaswani et al. 2017, eq. 1.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace sdxl::ops {

// q, k and v are column ranges of wider rows (the fused q/k/v product), hence pointers to their first column and a stride.
struct Attention {
  // Elements of y's type.
  const void* q;  // [batch, queries, heads · width], rows q_stride apart
  const void* k;  // [kv_batch, keys, heads · width], rows kv_stride apart
  const void* v;  // like k
  int64_t q_stride, kv_stride;
  int64_t batch, queries, heads, width;
  int64_t kv_batch, keys;                // batch is a multiple of kv_batch: item b reads keys of b · kv_batch / batch
  std::vector<int64_t> key_counts = {};  // [kv_batch], or empty: only the first so many keys exist; prompts of unlike length
  bool causal = false;                   // query i sees keys 0 … i
  std::vector<uint8_t> hidden = {};      // [kv_batch, keys], or empty: keys that nobody sees are not 0; never an item's first key
  Tensor y;                              // [batch, queries, heads · width]
};

}  // namespace sdxl::ops
