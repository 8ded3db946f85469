// Shapes in messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sdxl::weights {

// "[640, 2048]"; long shapes are cut.
inline std::string text_of(std::span<const int64_t> shape) {
  constexpr size_t kLongest = 8;
  std::string text = "[";
  for (size_t i = 0; i < shape.size() && i < kLongest; ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() > kLongest ? ", …]" : "]");
}

}  // namespace sdxl::weights
