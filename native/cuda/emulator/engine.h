// What sm_90a adds, as late as it may happen: copies land when the scheduler pleases, products are computed when somebody waits for them.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "cuda/emulator/block.h"
#include "cuda/kernels/tensor_map.h"

namespace sdxl::emulator {

cuda::TensorMap encode(const cuda::TensorBox& box);

constexpr int kGroup = 128;  // threads of a warpgroup

// A barrier in shared memory that counts arrivals and bytes.
struct CountingBarrier {
  int arrivals = 0, left = 0;
  int64_t bytes = 0;
  uint64_t phase = 0;
};

struct TileCopy {
  char* to;
  cuda::TensorBox box;
  std::array<int64_t, cuda::TensorBox::kMost> first;
  CountingBarrier* barrier;
};

struct GroupProduct {
  uint64_t a, b;
  bool add;
  bool a_in_registers;  // and b with k along its rows
  int columns;
  float (*to_float)(uint16_t);
  std::array<float*, kGroup> sums;
  std::array<std::array<uint32_t, 4>, kGroup> registers;
};

struct WarpGroup {
  Barrier barrier;
  const char* operation = nullptr;
  std::array<float*, kGroup> sums;
  std::array<std::array<uint32_t, 4>, kGroup> registers;
  std::deque<std::vector<GroupProduct>> products{1};  // committed groups; the last one is open
};

struct Engine {
  std::map<const void*, CountingBarrier> barriers;
  std::vector<TileCopy> copies;
  std::map<unsigned, WarpGroup> groups;

  // One of the copies under way lands; false if there is none.
  bool land_copy(std::mt19937& random);
  void finish();  // at the block's end
};

CountingBarrier& barrier_at(const void* barrier);
void arrive_at(CountingBarrier& barrier);
void wait_for(CountingBarrier& barrier, int phase);
void begin_tile_copy(void* to, const cuda::TensorMap& map, const void* barrier, std::array<int64_t, cuda::TensorBox::kMost> first);

// All 128 threads of the current thread's group; the last to come calls `complete`.
template <class F>
void group_operation(const char* name, F complete) {
  WarpGroup& group = block->engine->groups[block->current->index / kGroup];
  if (group.barrier.arrived == 0) group.operation = name;
  if (std::strcmp(group.operation, name) != 0) fault(Mistake::divergence, std::string("a warpgroup in ") + group.operation + " and in " + name);
  arrive(group.barrier, kGroup, [&] { complete(group); });
}
// What a product reads must be there when it starts and stay until somebody has waited for it.
void check(const GroupProduct& product);
void compute(const GroupProduct& product);

}  // namespace sdxl::emulator
