// What every op of the CPU backend works with.
#pragma once

#include <algorithm>
#include <atomic>
#include <string>

#include "core/arena.h"
#include "core/thread_pool.h"
#include "cpu/kernels.h"

namespace sdxl::cpu {

struct Context {
  ThreadPool& pool;
  Arena& arena;
  const Kernels& kernels;

  // Calls task(0 … count − 1, scratch): scratch holds `floats` numbers, aligned to 64 bytes, that no other call uses at the same time.
  template <class Task>
  void with_scratch(int64_t count, int64_t floats, const Task& task) const {
    const int64_t lanes = std::min<int64_t>(pool.threads(), count), stride = round_up(floats, 16);
    const Array scratch = arena.take({std::max<int64_t>(lanes, 1), stride});
    std::atomic<int64_t> next{0};
    pool.parallel(lanes, [&](int64_t lane) {
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(i, scratch.data() + lane * stride);
    });
  }

  // Calls task(begin, end) over 0 … count in pieces of `grain`, so that where a piece ends depends on no number of threads.
  template <class Task>
  void in_pieces(int64_t count, int64_t grain, const Task& task) const {
    pool.parallel((count + grain - 1) / grain, [&](int64_t i) { task(i * grain, std::min(count, (i + 1) * grain)); });
  }

  static constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
  static constexpr int64_t blocks(int64_t n, int64_t each) { return (n + each - 1) / each; }
};

// The model promises the shapes that the op headers state; an op that broke them would read foreign memory.
inline void require(bool holds, const char* what) {
  if (!holds) throw Error(Code::internal, std::string("cpu backend: ") + what);
}

}  // namespace sdxl::cpu
