// Reading a file's factors and multiplying them.
#pragma once

#include <cstdint>
#include <vector>

#include "weights/lora/lora_delta.h"

namespace sdxl::cpu {
struct Kernels;
}

namespace sdxl::lora {

// Values first … first + count − 1 of one of the delta's factors. Throws Error(lora_format) for NaN and infinite values.
void read(const LoraDelta& delta, const Factor& factor, int64_t first, int64_t count, float* to);
std::vector<float> read(const LoraDelta& delta, const Factor& factor);

// The right side of products, packed for the CPU's widest registers.
class PackedMatrix {
 public:
  PackedMatrix(const float* values, int64_t depth, int64_t columns);  // values [depth, columns]

  // out += a · this; a [rows, depth] with rows `a_stride` apart, out [rows, columns] with rows `stride` apart.
  void add_product(int64_t rows, const float* a, int64_t a_stride, float* out, int64_t stride) const;

  int64_t depth() const { return depth_; }
  int64_t columns() const { return columns_; }

 private:
  const cpu::Kernels& kernels_;
  int64_t depth_, columns_;
  std::vector<float> panels_;  // [panels, depth, panel]; zeros behind the last column
};

// A product ready to be multiplied: Tucker's core is part of the right side.
class ReadyProduct {
 public:
  // Reads `rows` rows of the left side from `first_row` on.
  ReadyProduct(const LoraDelta& delta, const Product& product, int64_t first_row, int64_t rows);

  // out += factor · (up · down) for rows first … first + count − 1 of those read; rows `stride` apart.
  void add(int64_t first, int64_t count, float factor, float* out, int64_t stride) const;

 private:
  int64_t rank_;
  std::vector<float> up_;  // [rows, rank]
  PackedMatrix down_;
};

// up [rows, rank] and down [rank, in · taps] of a product, whatever its form.
std::vector<float> read_up(const LoraDelta& delta, const Product& product, int64_t first_row, int64_t rows);
std::vector<float> read_down(const LoraDelta& delta, const Product& product);

}  // namespace sdxl::lora
