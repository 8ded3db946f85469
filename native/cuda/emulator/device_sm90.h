// kernels/device_sm90.h for the emulator.
#pragma once

#include "cuda/emulator/device.h"
#include "cuda/emulator/engine.h"

namespace sdxl::cuda::device {

template <int kCount>
void take_registers() {}
template <int kCount>
void give_registers() {}

inline void init_barrier(uint64_t* barrier, int arrivals) {
  emulator::check_write(barrier, sizeof *barrier);
  emulator::block->engine->barriers[barrier] = {arrivals, arrivals};
}
inline void publish_barriers() {}
inline void arrive(uint64_t* barrier) { emulator::arrive_at(emulator::barrier_at(barrier)); }
inline void arrive_expecting(uint64_t* barrier, int bytes) {
  emulator::CountingBarrier& b = emulator::barrier_at(barrier);
  b.bytes += bytes;
  emulator::arrive_at(b);
}
inline void wait_barrier(uint64_t* barrier, int phase) { emulator::wait_for(emulator::barrier_at(barrier), phase); }

inline void copy_tile(void* to, const TensorMap* map, uint64_t* barrier, int column, int row) { emulator::begin_tile_copy(to, *map, barrier, {column, row}); }
inline void copy_tile(void* to, const TensorMap* map, uint64_t* barrier, int channel, int tap, int column) {
  emulator::begin_tile_copy(to, *map, barrier, {channel, tap, column});
}
inline void copy_tile(void* to, const TensorMap* map, uint64_t* barrier, int channel, int x, int y, int image) {
  emulator::begin_tile_copy(to, *map, barrier, {channel, x, y, image});
}

inline uint64_t descriptor(const void* tile) {
  const uint64_t offset = uint64_t(static_cast<const char*>(tile) - emulator::block->shared->data());
  return uint64_t(1) << 62 | uint64_t(1024 >> 4) << 32 | uint64_t(1) << 16 | (offset & 0x3FFFF) >> 4;
}

inline void begin_wgmma() {}
template <class T, int kColumns>
void wgmma(float (&c)[kColumns / 2], uint64_t a, uint64_t b, bool add) {
  emulator::WarpGroup& own = emulator::block->engine->groups[emulator::block->current->index / emulator::kGroup];
  own.sums[emulator::block->current->index % emulator::kGroup] = c;
  if (!add) std::fill(c, c + kColumns / 2, NAN);  // there is nothing to see until somebody waits
  emulator::group_operation("wgmma", [&](emulator::WarpGroup& group) {
    group.products.back().push_back({a, b, add, false, kColumns, [](uint16_t bits) { return to_float(T{bits}); }, group.sums, {}});
    emulator::check(group.products.back().back());
  });
}
template <class T>
void wgmma_registers(float (&c)[32], const uint32_t (&a)[4], uint64_t b) {
  constexpr int kColumns = 64;
  emulator::WarpGroup& own = emulator::block->engine->groups[emulator::block->current->index / emulator::kGroup];
  const unsigned thread = emulator::block->current->index % emulator::kGroup;
  own.sums[thread] = c;
  own.registers[thread] = {a[0], a[1], a[2], a[3]};
  emulator::group_operation("wgmma_registers", [&](emulator::WarpGroup& group) {
    group.products.back().push_back({0, b, true, true, kColumns, [](uint16_t bits) { return to_float(T{bits}); }, group.sums, group.registers});
    emulator::check(group.products.back().back());
  });
}
inline void commit_wgmma() {
  emulator::group_operation("commit_wgmma", [](emulator::WarpGroup& group) { group.products.emplace_back(); });
}
template <int kPending>
void wait_wgmma() {
  for (int i = 0; i < 4; ++i) emulator::sleep_idly();  // products take their time: whoever may run meanwhile does
  emulator::group_operation("wait_wgmma", [](emulator::WarpGroup& group) {
    while (group.products.size() > kPending + 1) {
      for (const emulator::GroupProduct& product : group.products.front()) emulator::compute(product);
      group.products.pop_front();
    }
  });
}

}  // namespace sdxl::cuda::device
