#include "cuda/emulator/block.h"

#include <algorithm>
#include <exception>
#include <memory>

#include "cuda/emulator/engine.h"
#include "cuda/emulator/global_memory.h"

namespace sdxl::emulator {

thread_local Block* block = nullptr;

namespace {

constexpr unsigned kMaxThreads = 1024;
constexpr size_t kMaxShared = 227 << 10;  // of sm_90, the largest; what a chip has is the launch's business

// Fibers cost more to make than to run, so they stay for the next block and launch.
std::vector<std::unique_ptr<Thread>>& threads() {
  static thread_local std::vector<std::unique_ptr<Thread>> all;
  return all;
}

struct Running {
  const std::function<void()>* kernel = nullptr;
  std::exception_ptr error;
};
thread_local Running running;

void run_thread() {
  try {
    (*running.kernel)();
    if (block->current->copies.size() > 1 || !block->current->copies.back().empty()) wait_copies(0);
  } catch (...) {
    running.error = std::current_exception();
  }
  Thread& self = *block->current;
  self.done = true;
  --block->live;
  // The others may be waiting for this thread alone.
  if (block->live > 0 && block->barrier.arrived == block->live) {
    block->barrier.arrived = 0;
    ++block->barrier.generation;
    ++block->era;
  }
  self.fiber.suspend();
}

bool can_run(const Thread& t) { return !t.done && (!t.waits_for || t.waits_for->generation != t.generation); }

// Each lane of the warp that can move does so once, up to its next barrier. Whether any could.
bool advance(unsigned warp, std::mt19937& random) {
  const unsigned first = warp * kWarp, count = std::min(unsigned(kWarp), block->threads - first), turn = unsigned(random()) % count;
  bool moved = false;
  for (unsigned i = 0; i < count; ++i) {
    Thread& t = *threads()[first + (i + turn) % count];
    if (!can_run(t)) continue;
    t.waits_for = nullptr;
    t.idle = false;
    block->current = &t;
    t.fiber.resume();
    moved |= !t.idle;
    if (running.error) std::rethrow_exception(running.error);
  }
  return moved;
}

void run_block(std::mt19937& random) {
  for (unsigned i = 0; i < block->threads; ++i) {
    Thread& t = *threads()[i];
    t.index = i;
    t.done = false;
    t.waits_for = nullptr;
    t.copies.assign(1, {});
    t.fiber.restart(run_thread);
  }
  block->live = int(block->threads);
  const unsigned warps = unsigned(block->warps.size());
  constexpr int kPatience = 16;  // threads that sleep idly do so a few times at most for other reasons than waiting
  int idle_rounds = 0;
  while (block->live > 0) {
    if (random() % 4 == 0) block->engine->land_copy(random);
    // Mostly one warp runs as far ahead as barriers let it: that is when a buffer is refilled while another still reads it.
    const unsigned chosen = unsigned(random()) % warps;
    if (advance(chosen, random)) {
      idle_rounds = 0;
      while (random() % 64 && advance(chosen, random)) {
      }
      continue;
    }
    bool moved = false;
    for (unsigned w = 0; w < warps && !moved; ++w) moved = advance((chosen + w) % warps, random);
    if (moved || block->engine->land_copy(random)) idle_rounds = 0;
    else if (++idle_rounds > kPatience && block->live > 0) {
      std::string waiting;
      for (unsigned i = 0; i < block->threads && waiting.size() < 60; ++i)
        if (!threads()[i]->done && threads()[i]->waits_for != &block->barrier) waiting += " " + std::to_string(i);
      throw Fault(Mistake::deadlock, "not all threads reach a barrier" + (waiting.empty() ? "" : "; within their warp wait" + waiting));
    }
  }
  block->engine->finish();
}

}  // namespace

Report launch(const Launch& launch, const std::function<void()>& kernel) {
  if (launch.threads == 0 || launch.threads > kMaxThreads) throw Fault(Mistake::launch, std::to_string(launch.threads) + " threads in a block");
  if (launch.shared_bytes > kMaxShared) throw Fault(Mistake::launch, std::to_string(launch.shared_bytes) + " bytes of shared memory");
  const Dim3 grid = launch.grid;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7FFFFFFF || grid.y > 65535 || grid.z > 65535)
    throw Fault(Mistake::launch, "grid " + std::to_string(grid.x) + " × " + std::to_string(grid.y) + " × " + std::to_string(grid.z));

  while (threads().size() < launch.threads) threads().push_back(std::make_unique<Thread>());
  Report report;
  std::mt19937 random(launch.seed);
  std::vector<uint64_t> order(uint64_t(grid.x) * grid.y * grid.z);
  for (uint64_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);

  running = {&kernel, nullptr};
  struct Reset {
    ~Reset() {
      block = nullptr;
      running = {};
    }
  } reset;
  for (const uint64_t i : order) {
    SharedMemory shared(launch.shared_bytes);
    Engine engine;
    Block b;
    b.engine = &engine;
    b.shared = &shared;
    b.warps.resize((launch.threads + kWarp - 1) / kWarp);
    b.threads = launch.threads;
    b.block_index = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)};
    b.grid = grid;
    b.report = &report;
    block = &b;
    run_block(random);
  }
  return report;
}

void fault(Mistake mistake, const std::string& what) {
  const Dim3 b = block->block_index;
  throw Fault(mistake, what + " (block " + std::to_string(b.x) + ", " + std::to_string(b.y) + ", " + std::to_string(b.z) + ", thread " +
                           std::to_string(block->current->index) + ")");
}

void sleep_at(Barrier& barrier) {
  Thread& self = *block->current;
  self.waits_for = &barrier;
  self.generation = barrier.generation;
  self.fiber.suspend();
}

void sleep_idly() {
  block->current->idle = true;
  block->current->fiber.suspend();
}

void sync_block() {
  arrive(block->barrier, block->live, [] { ++block->era; });
}

namespace {

void check_global(const void* p, size_t bytes, bool write) {
  if (!in_buffer(p, bytes, write)) fault(Mistake::bounds, std::string(write ? "write to" : "read of") + " global memory that no buffer has");
}

void check_aligned(const void* p, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0) fault(Mistake::alignment, "an address that is not a multiple of " + std::to_string(bytes));
}

}  // namespace

void check_read(const void* p, size_t bytes) {
  check_aligned(p, bytes);
  if (block->shared->contains(p)) block->shared->read(p, bytes, block->access());
  else check_global(p, bytes, false);
}

void check_write(const void* p, size_t bytes) {
  check_aligned(p, bytes);
  if (block->shared->contains(p)) block->shared->write(p, bytes, block->access());
  else check_global(p, bytes, true);
}

void check_atomic(const void* p, size_t bytes) {
  check_aligned(p, bytes);
  if (block->shared->contains(p)) block->shared->atomic(p, bytes, block->access());
  else check_global(p, bytes, true);
}

void begin_copy(void* to, const void* from) {
  constexpr size_t kBytes = 16;
  check_aligned(to, kBytes);
  if (!block->shared->contains(to)) fault(Mistake::bounds, "a copy to something that is not shared memory");
  if (from) {
    check_aligned(from, kBytes);
    check_global(from, kBytes, false);
  }
  block->shared->begin_copy(to, kBytes, block->access());
  block->current->copies.back().push_back({to, from});
}

// The hardware may copy at any moment between issue and wait. Here the bytes land at the wait, and whoever looks sooner is told.
void wait_copies(size_t pending) {
  auto& groups = block->current->copies;
  while (groups.size() > pending + 1) {
    for (const Copy& copy : groups.front()) {
      if (copy.from) std::memcpy(copy.to, copy.from, 16);
      else std::memset(copy.to, 0, 16);
      block->shared->finish_copy(copy.to, 16, block->access());
    }
    groups.erase(groups.begin());
  }
}

void check_matrix(const char* const* rows, int first_lane) {
  constexpr int kRows = 8, kBanks = 8;  // of 16 bytes
  int used[kBanks] = {};
  for (int r = 0; r < kRows; ++r) {
    const char* row = rows[first_lane + r];
    check_aligned(row, 16);
    if (!block->shared->contains(row)) fault(Mistake::bounds, "a matrix that is not in shared memory");
    Access by = block->access();
    by.thread = uint16_t(by.thread / kWarp * kWarp + unsigned(first_lane + r));
    block->shared->read(row, 16, by);
    bool seen = false;  // lanes that read the same row share one access
    for (int before = 0; before < r; ++before) seen |= rows[first_lane + before] == row;
    used[size_t(row - block->shared->data()) / 16 % kBanks] += !seen;
  }
  block->report->matrix_loads += 1;
  block->report->bank_conflicts += *std::max_element(used, used + kBanks) - 1;
}

}  // namespace sdxl::emulator
