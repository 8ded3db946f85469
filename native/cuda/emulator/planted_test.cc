// A small product with mistakes planted on demand: each of them has to be found, whatever the schedule, and none without.
#include <array>

#include "cuda/emulator/global_memory.h"
#include "cuda/kernels/device.h"
#include "cuda/kernels/swizzle.h"
#include "test/check.h"

namespace sdxl::test {

namespace {

using namespace sdxl::cuda;  // NOLINT: as kernels write it

enum class Planted { none, no_wait, early_wait, no_barrier, no_barrier_before_refill, reading_unswizzled, conflicts, no_row_mask, no_store_mask };

constexpr int kTile = 64, kThreads = 128;

struct Product {
  const bf16* x;  // [rows, inner]
  const bf16* w;  // [columns, inner]
  float* y;       // [rows, columns]
  int rows, columns, inner;
};

// y = x · wᵀ, a tile of 64×64 for each block, two stages.
template <Planted kPlanted>
void product(const Product& p) {
  bf16* stages = reinterpret_cast<bf16*>(device::shared_memory());
  const int thread = int(threadIdx.x), lane = device::lane(), warp = device::warp();
  const int row0 = int(blockIdx.y) * kTile, column0 = int(blockIdx.x) * kTile;
  const auto at = [](int row, int chunk) { return kPlanted == Planted::conflicts ? row * kDepth + 8 * chunk : swizzled(row, chunk); };
  const auto read_at = [&](int row, int chunk) { return kPlanted == Planted::reading_unswizzled ? row * kDepth + 8 * chunk : at(row, chunk); };

  const auto fetch = [&](int stage, int k) {
    for (int i = thread; i < 2 * kTile * kChunks; i += kThreads) {
      const int half = i / (kTile * kChunks), r = i / kChunks % kTile, c = i % kChunks;
      const int row = (half ? column0 : row0) + r, limit = half ? p.columns : p.rows;
      const bool valid = (kPlanted == Planted::no_row_mask || row < limit) && k + 8 * c < p.inner;
      device::copy16(stages + (2 * stage + half) * kTile * kDepth + at(r, c), (half ? p.w : p.x) + (valid ? row * p.inner + k + 8 * c : 0), valid);
    }
    device::commit_copies();
  };

  float sums[2][4][4] = {};
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  fetch(0, 0);
  for (int k = 0; k < p.inner; k += kDepth) {
    const int stage = k / kDepth % 2;
    if (k + kDepth < p.inner) fetch(stage ^ 1, k + kDepth);
    else device::commit_copies();
    if (kPlanted == Planted::early_wait) device::wait_copies<2>();
    else if (kPlanted != Planted::no_wait) device::wait_copies<1>();
    if (kPlanted != Planted::no_barrier) device::sync_block();
    const bf16* xs = stages + 2 * stage * kTile * kDepth;
    const bf16* ws = xs + kTile * kDepth;
    for (int step = 0; step < kDepth / 16; ++step) {
      uint32_t a[2][4], b[2][4];
      for (int m = 0; m < 2; ++m) device::load_matrices(a[m], xs + read_at(warp_row + 16 * m + lane % 16, 2 * step + lane / 16));
      for (int n = 0; n < 2; ++n) device::load_matrices(b[n], ws + read_at(warp_column + 16 * n + lane % 8 + lane / 16 * 8, 2 * step + lane / 8 % 2));
      for (int m = 0; m < 2; ++m)
        for (int n = 0; n < 4; ++n) device::mma<bf16>(sums[m][n], a[m], b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
    }
    if (kPlanted != Planted::no_barrier_before_refill) device::sync_block();
  }

  for (int m = 0; m < 2; ++m)
    for (int n = 0; n < 4; ++n)
      for (int e = 0; e < 4; ++e) {
        const int row = row0 + warp_row + 16 * m + lane / 4 + e / 2 * 8, column = column0 + warp_column + 8 * n + 2 * (lane % 4) + e % 2;
        if (kPlanted != Planted::no_store_mask && (row >= p.rows || column >= p.columns)) continue;
        device::store(p.y + row * p.columns + column, sums[m][n][e]);
      }
}

struct Outcome {
  bool faulted = false, right = false;
  emulator::Mistake mistake{};
  int64_t conflicts = 0;
};

template <Planted kPlanted>
Outcome run(int rows, int columns, int inner, unsigned seed) {
  const auto value = [](int i) { return device::from_float<bf16>(float(i * 29 % 15 - 7)); };  // sums of these are exact
  std::vector<bf16> x, w;
  for (int i = 0; i < rows * inner; ++i) x.push_back(value(i));
  for (int i = 0; i < columns * inner; ++i) w.push_back(value(i + 3));
  const emulator::Buffer<bf16> from_x(x, false), from_w(w, false);
  emulator::Buffer<float> y(size_t(rows * columns), NAN);
  const Product p{from_x.data(), from_w.data(), y.data(), rows, columns, inner};
  const emulator::Dim3 grid{unsigned(columns + kTile - 1) / kTile, unsigned(rows + kTile - 1) / kTile};
  Outcome outcome;
  try {
    outcome.conflicts = emulator::launch({grid, kThreads, 4 * kTile * kDepth * sizeof(bf16), seed}, [&] { product<kPlanted>(p); }).bank_conflicts;
  } catch (const emulator::Fault& fault) {
    outcome.faulted = true;
    outcome.mistake = fault.mistake;
    return outcome;
  }
  outcome.right = true;
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) {
      float sum = 0;
      for (int k = 0; k < inner; ++k) sum += device::to_float(x[size_t(r * inner + k)]) * device::to_float(w[size_t(c * inner + k)]);
      outcome.right &= y.values()[size_t(r * columns + c)] == sum;
    }
  return outcome;
}

// Every schedule and size finds this mistake.
template <Planted kPlanted>
void finds(emulator::Mistake mistake) {
  for (const unsigned seed : {1u, 2u, 3u, 4u})
    for (const auto& [rows, columns, inner] : {std::array{70, 66, 200}, {1, 200, 136}}) {
      const Outcome outcome = run<kPlanted>(rows, columns, inner, seed);
      CHECK(outcome.faulted && outcome.mistake == mistake);
    }
}

}  // namespace

TEST("cuda emulator: a product without mistakes is right in every schedule") {
  for (const unsigned seed : {1u, 2u, 3u, 4u})
    for (const auto& [rows, columns, inner] : {std::array{1, 2, 8}, {64, 64, 64}, {77, 130, 96}, {200, 66, 328}}) {
      const Outcome outcome = run<Planted::none>(rows, columns, inner, seed);
      CHECK(outcome.right && outcome.conflicts == 0);
    }
}

TEST("cuda emulator: finds missing and early waits for copies") {
  finds<Planted::no_wait>(emulator::Mistake::pending_copy);
  finds<Planted::early_wait>(emulator::Mistake::pending_copy);
}

TEST("cuda emulator: finds missing barriers") {
  for (const unsigned seed : {1u, 2u, 3u, 4u}) {
    // Without the one before reading, a thread meets what another has not copied yet, still copies, or has just copied.
    const Outcome outcome = run<Planted::no_barrier>(70, 66, 200, seed);
    CHECK(outcome.faulted && (outcome.mistake == emulator::Mistake::race || outcome.mistake == emulator::Mistake::pending_copy ||
                              outcome.mistake == emulator::Mistake::uninitialized));
  }
  finds<Planted::no_barrier_before_refill>(emulator::Mistake::race);
}

TEST("cuda emulator: shows wrong swizzles, by the result or by bank conflicts") {
  const Outcome unswizzled = run<Planted::reading_unswizzled>(70, 66, 200, 1);
  CHECK(!unswizzled.faulted && !unswizzled.right);
  const Outcome conflicts = run<Planted::conflicts>(70, 66, 200, 1);
  CHECK(conflicts.right && conflicts.conflicts > 0);
}

TEST("cuda emulator: finds missing edge masks") {
  finds<Planted::no_row_mask>(emulator::Mistake::bounds);
  finds<Planted::no_store_mask>(emulator::Mistake::bounds);
}

}  // namespace sdxl::test
