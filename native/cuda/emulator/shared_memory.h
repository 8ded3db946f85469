// Shared memory of a block and what is known of every two bytes of it: who wrote and read them last, and between which barriers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/emulator/fault.h"

namespace sdxl::emulator {

// Who accesses, and when: `era` counts the block's barriers, `warp_era` those of the thread's warp.
struct Access {
  uint32_t era = 0, warp_era = 0;
  uint16_t thread = 0;
};

class SharedMemory {
 public:
  explicit SharedMemory(size_t bytes);

  char* data() { return data_; }
  bool contains(const void* p) const { return p >= data_ && p < data_ + bytes_; }

  // Each throws a Fault where the access is wrong; bounds were checked by contains() for the first byte only.
  void read(const void* p, size_t bytes, const Access& by);
  void write(const void* p, size_t bytes, const Access& by);
  void atomic(const void* p, size_t bytes, const Access& by);
  // An asynchronous copy writes here from now on until finish().
  void begin_copy(const void* p, size_t bytes, const Access& by);
  void finish_copy(const void* p, size_t bytes, const Access& by);
  // The same for the copy engine, which barriers that count bytes order, not those of the block.
  void begin_tile(const void* p, size_t bytes);
  void finish_tile(const void* p, size_t bytes);
  void read_tile(const void* p, size_t bytes);

 private:
  enum class Written : uint8_t { never, plainly, atomically, pending };
  struct Cell {
    Access writer, reader;
    Written written = Written::never;
    bool was_read = false;
    bool many_lanes = false, many_warps = false;  // of readers of the same era
  };
  static constexpr size_t kCell = 2;

  template <class F>
  void each(const void* p, size_t bytes, F body);
  void put(const void* p, size_t bytes, const Access& by, Written how);
  void check_writer(const Cell& cell, const Access& by, bool atomic, const void* p) const;
  void check_readers(const Cell& cell, const Access& by, const void* p) const;
  [[noreturn]] void fail(Mistake mistake, const char* what, const Access& before, const Access& by, const void* p) const;

  std::unique_ptr<char[]> memory_;
  char* data_;
  size_t bytes_;
  std::vector<Cell> cells_;
};

}  // namespace sdxl::emulator
