// Memory for activations: blocks are taken and given back in any order and reused, so a loop allocates in its first round only.
// Not thread-safe: one engine thread owns an arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>

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
  explicit Arena(size_t limit = 0) : limit_(limit) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Contents are undefined. Throws Error(out_of_memory) with the bytes wanted and the limit.
  Array take(Shape shape);

  // Gives regions that hold no block back to the system.
  void trim();

  size_t used() const { return used_; }          // bytes in blocks that are taken
  size_t reserved() const { return reserved_; }  // bytes held from the system
  size_t peak() const { return peak_; }          // most bytes ever used at once, with those outside
  size_t limit() const { return limit_; }
  // Takes effect with the next region; what is held already stays.
  void set_limit(size_t limit) { limit_ = limit; }

  // Bytes held outside the arena that count towards its limit and its peak.
  void set_outside(size_t bytes);
  // What gives back such bytes as can be made anew, by set_outside(). Called when the limit would be passed.
  void on_shortage(std::function<void()> reclaim) { reclaim_ = std::move(reclaim); }
  // Bytes that may still be taken under the limit, after such a call when they are fewer than `wanted`. There has to be a limit.
  size_t room(size_t wanted);

 private:
  friend class Array;
  struct Block {
    size_t size;
    bool free;
    bool first;  // of its region: never merged into the block before it
  };
  using Blocks = std::map<std::byte*, Block>;  // by address

  void give_back(void* data);
  Blocks::iterator add_region(size_t wanted);  // at least so many bytes
  void remember_free(Blocks::iterator block) { free_.insert({block->second.size, block->first}); }
  void forget_free(Blocks::iterator block) { free_.erase({block->second.size, block->first}); }

  Blocks blocks_;
  std::set<std::pair<size_t, std::byte*>> free_;  // by size, then address: best fit, and the same choice every time
  size_t limit_, used_ = 0, reserved_ = 0, outside_ = 0, peak_ = 0;
  std::function<void()> reclaim_;
};

inline Array::~Array() {
  if (arena_) arena_->give_back(tensor_.data());
}

}  // namespace sdxl
