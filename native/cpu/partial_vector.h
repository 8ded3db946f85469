// The end of a row that is no whole vector goes through a small buffer, so it meets the same instructions and no foreign memory.
#pragma once

#include <cstdint>

namespace sdxl::cpu {

template <class V>
V load_first(const float* from, int64_t count) {
  if (count >= V::kWidth) return V::load(from);
  float buffer[V::kWidth] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = from[i];
  return V::load(buffer);
}

template <class V>
void store_first(V v, float* to, int64_t count) {
  if (count >= V::kWidth) return v.store(to);
  float buffer[V::kWidth];
  v.store(buffer);
  for (int64_t i = 0; i < count; ++i) to[i] = buffer[i];
}

}  // namespace sdxl::cpu
