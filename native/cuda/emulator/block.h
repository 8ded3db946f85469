// Runs a kernel's source on the CPU, block by block, every thread a fiber. It finds wrong indices, masks and fragment layouts, missing
// barriers and missing waits for copies; it says nothing about speed, but for bank conflicts, which it counts.
//
// A warp's operation completes when all its lanes have called it, a block's barrier when every thread that has not returned has. Blocks
// and warps run in an order that the seed decides.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "cuda/emulator/fiber.h"
#include "cuda/emulator/shared_memory.h"

namespace sdxl::emulator {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

struct Launch {
  Dim3 grid;
  unsigned threads;
  size_t shared_bytes = 0;
  unsigned seed = 1;
};

struct Report {
  int64_t matrix_loads = 0;    // rounds of eight rows read by load_matrices
  int64_t bank_conflicts = 0;  // further rounds those take because rows share banks
};

// Calls `kernel` once for each thread of the grid. Throws a Fault, or what the kernel throws.
Report launch(const Launch& launch, const std::function<void()>& kernel);

// What follows is for emulator/device.h.

constexpr int kWarp = 32;

struct Copy {
  void* to;
  const void* from;  // null: zeros
};

struct Barrier {
  int arrived = 0;
  uint64_t generation = 0;
};

struct Warp {
  Barrier barrier;
  const char* operation = nullptr;  // what the lanes are doing together
  uint32_t era = 0;                 // counts sync_warp
  uint32_t in[kWarp][12], out[kWarp][4];
  const char* address[kWarp];
};

struct Thread {
  Fiber fiber;
  unsigned index = 0;
  bool done = true;
  bool idle = false;  // looked at a condition and found it not met
  const Barrier* waits_for = nullptr;
  uint64_t generation = 0;                   // of that barrier when the thread went to sleep
  std::vector<std::vector<Copy>> copies{1};  // committed groups; the last one is open
};

struct Engine;  // of sm_90a: see emulator/engine.h

struct Block {
  Thread* current = nullptr;
  Engine* engine = nullptr;
  SharedMemory* shared = nullptr;
  std::vector<Warp> warps;
  Barrier barrier;
  uint32_t era = 1;
  int live = 0;
  unsigned threads = 0;
  Dim3 block_index, grid;
  Report* report = nullptr;

  Warp& warp() { return warps[current->index / kWarp]; }
  int lane() const { return int(current->index % kWarp); }
  int lanes() const {  // of the current warp: the last one may be short
    return int(std::min<unsigned>(kWarp, threads - current->index / kWarp * kWarp));
  }
  Access access() { return {era, warp().era, uint16_t(current->index)}; }
};
extern thread_local Block* block;

[[noreturn]] void fault(Mistake mistake, const std::string& what);  // adds block and thread
void sleep_at(Barrier& barrier);
void sleep_idly();  // others run; the thread comes back to look again

// The last to arrive calls `complete` and opens the barrier for all.
template <class F>
void arrive(Barrier& barrier, int expected, F complete) {
  if (++barrier.arrived < expected) return sleep_at(barrier);
  complete();
  barrier.arrived = 0;
  ++barrier.generation;
}

template <class F>
void warp_operation(const char* name, F complete) {
  Warp& warp = block->warp();
  if (warp.barrier.arrived == 0) warp.operation = name;
  if (std::strcmp(warp.operation, name) != 0) fault(Mistake::divergence, std::string("a warp in ") + warp.operation + " and in " + name);
  arrive(warp.barrier, block->lanes(), [&] { complete(warp); });
}

void sync_block();
// Checks an access of the current thread.
void check_read(const void* p, size_t bytes);
void check_write(const void* p, size_t bytes);
void check_atomic(const void* p, size_t bytes);
void begin_copy(void* to, const void* from);
void wait_copies(size_t pending);
// Eight rows of 16 bytes that one round of load_matrices reads: checked, their bank conflicts counted.
void check_matrix(const char* const* rows, int first_lane);

}  // namespace sdxl::emulator
