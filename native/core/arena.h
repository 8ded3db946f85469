// Memory for activations: blocks are taken and given back in any order and reused, so a loop allocates in its first round only.
// The memory is the host's or a device's. Not thread-safe: one engine thread owns an arena.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "core/block_pool.h"
#include "core/memory.h"
#include "core/tensor.h"

namespace sdxl {

class Arena;

// A tensor that gives its memory back when it goes. Move-only.
class Array {
 public:
  Array() = default;
  Array(Array&& other) noexcept { swap(other); }
  Array& operator=(Array&& other) noexcept {
    Array(std::move(other)).swap(*this);
    return *this;
  }
  ~Array();

  operator Tensor() const { return tensor_; }
  operator ConstTensor() const { return tensor_; }
  explicit operator bool() const { return bool(tensor_); }
  const Tensor& view() const { return tensor_; }
  const Shape& shape() const { return tensor_.shape(); }
  DType type() const { return tensor_.type(); }
  int64_t bytes() const { return tensor_.bytes(); }
  void* address() const { return tensor_.address(); }
  void* at(int64_t element) const { return tensor_.at(element); }
  float* data() const { return tensor_.data(); }
  int64_t elements() const { return tensor_.elements(); }
  Tensor as(Shape shape) const { return tensor_.as(shape); }

 private:
  friend class Arena;
  Array(Arena* arena, Tensor tensor) : arena_(arena), tensor_(tensor) {}
  void swap(Array& other) {
    std::swap(arena_, other.arena_);
    std::swap(tensor_, other.tensor_);
  }

  Arena* arena_ = nullptr;
  Tensor tensor_;
};

class Arena {
 public:
  static constexpr size_t kAlign = kMemoryAlign;

  // `limit`: bytes that may be reserved from the system at once, 0 = no limit.
  explicit Arena(size_t limit = 0);
  // Of other memory, whose regions and blocks are aligned to `align`.
  Arena(std::unique_ptr<MemorySource> source, size_t align, size_t limit) : source_(std::move(source)), pool_(*source_, align, limit) {}

  // Contents are undefined. Throws Error(out_of_memory) with the bytes wanted and the limit.
  Array take(Shape shape, DType type = DType::f32);

  // As in BlockPool.
  void trim() { pool_.trim(); }
  size_t used() const { return pool_.used(); }
  size_t reserved() const { return pool_.reserved(); }
  size_t peak() const { return pool_.peak(); }
  size_t limit() const { return pool_.limit(); }
  void set_limit(size_t limit) { pool_.set_limit(limit); }
  void set_outside(size_t bytes) { pool_.set_outside(bytes); }
  void on_shortage(std::function<void()> reclaim) { pool_.on_shortage(std::move(reclaim)); }
  size_t room(size_t wanted) { return pool_.room(wanted); }

 private:
  friend class Array;
  void give_back(void* address) { pool_.give_back(static_cast<std::byte*>(address)); }

  std::unique_ptr<MemorySource> source_;
  BlockPool pool_;
};

inline Array::~Array() {
  if (arena_) arena_->give_back(tensor_.address());
}

}  // namespace sdxl
