// Weights in the layout of the matrix product: panels of `panel` output columns, each [depth, panel], the last filled up with zeros. What is
// multiplied in bf16 lies in pairs, [depth / 2, panel, 2], an odd depth filled up with zeros.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "core/arena.h"
#include "cpu/kernels.h"
#include "ops/weight.h"

namespace sdxl::cpu {

struct PackedWeight final : ops::Packed {
  int64_t out = 0;                // columns of the product, gates of a GEGLU included
  int64_t depth = 0;              // in; of a convolution kernel height · kernel width · in, in this order
  int64_t height = 0, width = 0;  // of a convolution's kernel, else 0
  int64_t panel = 0;              // 1 in a table: plain rows
  bool geglu = false;             // a panel is panel / 2 values and then their gates
  DType storage = DType::f32;     // f32, f16 or bf16
  bool paired = false;            // multiplied in bf16, with x rounded to it; else widened

  int64_t panels() const { return (outputs() + outputs_each() - 1) / outputs_each(); }
  int64_t outputs() const { return geglu ? out / 2 : out; }           // columns of y
  int64_t outputs_each() const { return geglu ? panel / 2 : panel; }  // columns of y in a panel
  // Where step k of the depth begins in a panel. The columns of a pair's two steps take turns.
  int64_t element(int64_t panel_index, int64_t k) const {
    return paired ? (panel_index * (depth + depth % 2) + k / 2 * 2) * panel + k % 2 : (panel_index * depth + k) * panel;
  }
  int64_t steps() const { return paired ? (depth + 1) / 2 : depth; }  // of the product: pairs or numbers
  int64_t column_stride() const { return paired ? 2 : 1; }
  const void* at(int64_t element) const { return memory_.data() + element * size_of(storage); }
  void* at(int64_t element) { return memory_.data() + element * size_of(storage); }
  int64_t bytes() const override { return int64_t(memory_.size()); }

  // Room for the elements, zero from `zeros` on. Throws Error(out_of_memory).
  void allocate(int64_t elements, int64_t zeros);

 private:
  // Bytes aligned to a cache line.
  class Memory {
   public:
    Memory() = default;
    explicit Memory(size_t size);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(Memory&& other) noexcept {
      std::swap(data_, other.data_);
      std::swap(size_, other.size_);
      return *this;
    }
    std::byte* data() const { return data_; }
    size_t size() const { return size_; }

   private:
    std::byte* data_ = nullptr;
    size_t size_ = 0;
  };
  Memory memory_;
};

// All throw Error(model_format) where the source holds NaN or infinite values, or one that f16 storage cannot hold.
std::unique_ptr<PackedWeight> pack_linear(const Kernels& kernels, const ops::PackLinear& weight);
std::unique_ptr<PackedWeight> pack_conv2d(const Kernels& kernels, const ops::PackConv2d& weight);
std::unique_ptr<PackedWeight> pack_rows(const ops::WeightRows& weight, ops::Storage storage);

// See ops::Backend::changed.
std::unique_ptr<PackedWeight> changed(const Kernels& kernels, const PackedWeight& weight, const std::function<void(float* values)>& change);

// `count` elements from `element` on as floats: where they are, if they are stored so, else widened into `scratch`.
const float* widened(const Kernels& kernels, const PackedWeight& weight, int64_t element, int64_t count, float* scratch);

}  // namespace sdxl::cpu
