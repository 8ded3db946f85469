// Reproducible random numbers and how far results are apart, for tests and for what is measured.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace sdxl::test {

// Evenly spread over −1 … 1: SplitMix64 (Steele et al. 2014).
inline std::vector<float> numbers(int64_t count, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  uint64_t state = seed << 32;
  for (float& v : values) {
    uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    v = float(int64_t(z ^ (z >> 31)) >> 39) * 0x1p-24f;
  }
  return values;
}

// |found − wanted| / |wanted|, over all elements together. No number, which is above every tolerance, where the reference is 0 or has one.
inline double relative_error(const std::vector<float>& found, const std::vector<float>& wanted) {
  if (found.size() != wanted.size()) return INFINITY;
  double error = 0, length = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    error += (double(found[i]) - wanted[i]) * (double(found[i]) - wanted[i]);
    length += double(wanted[i]) * wanted[i];
  }
  return std::sqrt(error / length);
}

}  // namespace sdxl::test
