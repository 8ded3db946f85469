// Blocks of memory from large regions: taken and given back in any order and reused, so a loop reserves in its first round only.
// The memory itself is never touched; it may be a GPU's. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "core/error.h"

namespace sdxl {

// Where a pool's regions come from.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  // Null when there is no more.
  virtual std::byte* allocate(size_t bytes) = 0;
  virtual void free(std::byte* memory) = 0;
  // What to throw then; `used` bytes are held already.
  virtual Error exhausted(size_t wanted, size_t used) const = 0;
};

class BlockPool {
 public:
  // `align`: of every block, a power of two; the source aligns regions so. `limit`: bytes that may be reserved at once, 0 = no limit.
  BlockPool(MemorySource& source, size_t align, size_t limit) : source_(source), align_(align), limit_(limit) {}
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Contents are undefined. Throws Error(out_of_memory) with the bytes wanted.
  std::byte* take(size_t bytes);
  void give_back(std::byte* block);

  // Gives regions that hold no block back to the source.
  void trim();

  size_t used() const { return used_; }          // bytes in blocks that are taken
  size_t reserved() const { return reserved_; }  // bytes held from the source
  size_t peak() const { return peak_; }          // most bytes ever used at once, with those outside
  size_t limit() const { return limit_; }
  // Takes effect with the next region; what is held already stays.
  void set_limit(size_t limit) { limit_ = limit; }

  // Bytes held elsewhere that count towards limit and peak.
  void set_outside(size_t bytes);
  // What gives back such bytes as can be made anew, by set_outside(). Called when the limit would be passed.
  void on_shortage(std::function<void()> reclaim) { reclaim_ = std::move(reclaim); }
  // Bytes that may still be taken under the limit, after such a call when they are fewer than `wanted`. There has to be a limit.
  size_t room(size_t wanted);

 private:
  struct Block {
    size_t size;
    bool free;
    bool first;  // of its region: never merged into the block before it
  };
  using Blocks = std::map<std::byte*, Block>;  // by address

  Blocks::iterator add_region(size_t wanted);  // at least so many bytes
  void remember_free(Blocks::iterator block) { free_.insert({block->second.size, block->first}); }
  void forget_free(Blocks::iterator block) { free_.erase({block->second.size, block->first}); }

  MemorySource& source_;
  Blocks blocks_;
  std::set<std::pair<size_t, std::byte*>> free_;  // by size, then address: best fit, and the same choice every time
  size_t align_, limit_, used_ = 0, reserved_ = 0, outside_ = 0, peak_ = 0;
  std::function<void()> reclaim_;
};

}  // namespace sdxl
