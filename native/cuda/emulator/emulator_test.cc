// The emulator itself: what a warp's operations mean, and that it finds each kind of mistake.
#include <string>

#include "cuda/emulator/global_memory.h"
#include "cuda/kernels/device.h"
#include "test/check.h"

namespace sdxl::test {

namespace {

using namespace sdxl::cuda;  // NOLINT: device:: as kernels write it
using emulator::Buffer;
using emulator::Mistake;

// The mistake that a launch of one block is caught in; "none" when it ends.
std::string mistake_of(unsigned threads, size_t shared_bytes, const std::function<void()>& kernel, unsigned seed = 1) {
  try {
    emulator::launch({{}, threads, shared_bytes, seed}, kernel);
  } catch (const emulator::Fault& fault) {
    switch (fault.mistake) {
      case Mistake::bounds: return "bounds";
      case Mistake::alignment: return "alignment";
      case Mistake::uninitialized: return "uninitialized";
      case Mistake::race: return "race";
      case Mistake::pending_copy: return "pending copy";
      case Mistake::unfinished: return "unfinished";
      case Mistake::arrivals: return "arrivals";
      case Mistake::divergence: return "divergence";
      case Mistake::deadlock: return "deadlock";
      case Mistake::launch: return "launch";
    }
  }
  return "none";
}

float* shared_floats() { return reinterpret_cast<float*>(device::shared_memory()); }

}  // namespace

TEST("cuda emulator: every thread of every block runs once") {
  const unsigned threads = 70;
  const emulator::Dim3 grid{3, 4, 2};
  Buffer<uint32_t> seen(size_t(grid.x * grid.y * grid.z * threads));
  emulator::launch({grid, threads}, [&] {
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    device::atomic_add(seen.data() + block * blockDim.x + threadIdx.x, 1u);
  });
  for (const uint32_t count : seen.values()) CHECK(count == 1);
}

TEST("cuda emulator: shuffles and votes") {
  Buffer<float> sum(64), top(64), from(64), down(64);
  Buffer<uint32_t> votes(64);
  emulator::launch({{}, 64}, [&] {
    const unsigned i = threadIdx.x;
    device::store(sum.data() + i, device::warp_sum(float(i)));
    device::store(top.data() + i, device::warp_max(float(i % 7)));
    device::store(from.data() + i, device::shuffle(float(i), 5));
    device::store(down.data() + i, device::shuffle_down(float(i), 4));
    const uint32_t vote = device::ballot(i % 3 == 0);
    device::store(votes.data() + i, vote + (device::any(i == 40) ? 1u : 0u) + (device::all(i < 32) ? 2u : 0u));
  });
  for (int i = 0; i < 64; ++i) {
    const int warp = i / 32;
    CHECK(sum.values()[size_t(i)] == float(warp ? 1520 : 496));
    CHECK(top.values()[size_t(i)] == 6);
    CHECK(from.values()[size_t(i)] == float(32 * warp + 5));
    CHECK(down.values()[size_t(i)] == float(i % 32 < 28 ? i + 4 : i));
    uint32_t vote = 0;
    for (int l = 0; l < 32; ++l) vote |= uint32_t((32 * warp + l) % 3 == 0) << l;
    CHECK(votes.values()[size_t(i)] == vote + (warp ? 1 : 2));
  }
}

// Fragments against plain indices: a and b through load_matrices, b once row by row and once transposed.
TEST("cuda emulator: load_matrices and mma make a product") {
  const auto value = [](int i, int seed) { return float((i * 37 + seed * 11) % 17 - 8); };
  for (const bool transposed : {false, true}) {
    Buffer<float> c(16 * 8);
    emulator::launch({{}, 32, 2048}, [&] {
      const int lane = device::lane();
      f16* a = reinterpret_cast<f16*>(device::shared_memory());
      f16* b = a + 16 * 16;  // [8 columns][16 k], or transposed [16 k][8 columns] in rows of 16
      for (int i = lane; i < 256; i += 32) device::store(a + i, device::from_float<f16>(value(i, 1)));
      for (int i = lane; i < 256; i += 32) {
        const int column = transposed ? i % 16 : i / 16, k = transposed ? i / 16 : i % 16;
        device::store(b + i, device::from_float<f16>(column < 8 ? value(column * 16 + k, 2) : 0));
      }
      device::sync_warp();
      uint32_t fa[4], fb[4];
      device::load_matrices(fa, a + (lane % 16) * 16 + lane / 16 * 8);
      if (transposed) device::load_matrices_transposed(fb, b + (lane % 16) * 16 + lane / 16 * 8);
      else device::load_matrices(fb, b + (lane % 8 + lane / 16 * 8) * 16 + lane / 8 % 2 * 8);
      float sums[4] = {1, 1, 1, 1};
      device::mma<f16>(sums, fa, fb[0], fb[1]);
      for (int e = 0; e < 4; ++e) device::store(c.data() + (lane / 4 + e / 2 * 8) * 8 + 2 * (lane % 4) + e % 2, sums[e]);
    });
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        float sum = 1;
        for (int k = 0; k < 16; ++k) sum += value(row * 16 + k, 1) * value(column * 16 + k, 2);
        CHECK(c.values()[size_t(row * 8 + column)] == sum);
      }
  }
}

TEST("cuda emulator: 16-bit elements round as the hardware does") {
  for (const float x : {0.0f, -1.5f, 1.00390625f, 1.01171875f, 65519.0f, 65520.0f, 1e-7f, 3e38f}) {
    CHECK(device::from_float<bf16>(x).bits == f32_to_bf16(x));
    CHECK(device::from_float<f16>(x).bits == f32_to_f16(x));
    CHECK(device::high<bf16>(device::pack<bf16>(1, x)) == bf16_to_f32(f32_to_bf16(x)));
    CHECK(device::low<f16>(device::pack<f16>(x, 1)) == f16_to_f32(f32_to_f16(x)));
  }
}

TEST("cuda emulator: a barrier orders shared memory, nothing else does") {
  for (const unsigned seed : {1u, 2u, 3u}) {
    Buffer<float> y(64);
    const auto neighbour = [&](bool barrier) {
      float* s = shared_floats();
      const unsigned i = threadIdx.x;
      device::store(s + i, float(i));
      if (barrier) device::sync_block();
      device::store(y.data() + i, device::load(s + (i + 33) % 64));
    };
    CHECK(mistake_of(
              64, 256, [&] { neighbour(true); }, seed) == "none");
    for (unsigned i = 0; i < 64; ++i) CHECK(y.values()[i] == float((i + 33) % 64));
    const std::string found = mistake_of(
        64, 256, [&] { neighbour(false); }, seed);
    CHECK(found == "race" || found == "uninitialized");

    // Refilled while others read.
    const auto twice = [&](bool barrier) {
      float* s = shared_floats();
      const unsigned i = threadIdx.x;
      for (int round = 0; round < 2; ++round) {
        device::store(s + i, float(i));
        device::sync_block();
        device::store(y.data() + i, device::load(s + (i + 33) % 64));
        if (barrier) device::sync_block();
      }
    };
    CHECK(mistake_of(
              64, 256, [&] { twice(true); }, seed) == "none");
    CHECK(mistake_of(
              64, 256, [&] { twice(false); }, seed) == "race");
  }
}

TEST("cuda emulator: sync_warp orders the lanes of one warp only") {
  Buffer<float> y(64);
  const auto neighbour = [&](unsigned distance) {
    float* s = shared_floats();
    const unsigned i = threadIdx.x;
    device::store(s + i, 1.0f);
    device::sync_warp();
    device::store(y.data() + i, device::load(s + (i ^ distance)));
  };
  CHECK(mistake_of(64, 256, [&] { neighbour(5); }) == "none");
  const std::string found = mistake_of(64, 256, [&] { neighbour(32); });
  CHECK(found == "race" || found == "uninitialized");
}

TEST("cuda emulator: atomics do not race with each other") {
  Buffer<float> y(1);
  const auto count = [&](bool atomic) {
    float* s = shared_floats();
    if (threadIdx.x == 0) device::store(s, 0.0f);
    device::sync_block();
    if (atomic) device::atomic_add(s, 1.0f);
    else device::store(s, 1.0f);
    device::sync_block();
    if (threadIdx.x == 0) device::store(y.data(), device::load(s));
  };
  CHECK(mistake_of(96, 16, [&] { count(true); }) == "none");
  CHECK(y.values()[0] == 96);
  CHECK(mistake_of(96, 16, [&] { count(false); }) == "race");
}

TEST("cuda emulator: copies land at the wait, for others behind a barrier") {
  Buffer<float> x({1, 2, 3, 4, 5, 6, 7, 8}), y(8);
  const auto copy = [&](bool wait, bool barrier) {
    float* s = shared_floats();
    const unsigned i = threadIdx.x;
    if (i < 2) device::copy16(s + 4 * i, x.data() + 4 * i, i == 0);
    device::commit_copies();
    if (wait) device::wait_copies<0>();
    if (barrier) device::sync_block();
    if (i < 8) device::store(y.data() + i, device::load(s + i));
  };
  CHECK(mistake_of(64, 64, [&] { copy(true, true); }) == "none");
  CHECK((y.values() == std::vector<float>{1, 2, 3, 4, 0, 0, 0, 0}));
  CHECK(mistake_of(64, 64, [&] { copy(false, true); }) == "pending copy");
  const std::string found = mistake_of(64, 64, [&] { copy(true, false); });
  CHECK(found == "race" || found == "pending copy" || found == "uninitialized");
}

TEST("cuda emulator: a wait leaves the youngest groups under way") {
  Buffer<float> x({1, 2, 3, 4, 5, 6, 7, 8}), y(4);
  const auto second = [&](int group) {
    float* s = shared_floats();
    for (int i = 0; i < 2; ++i) {
      device::copy16(s + 4 * i, x.data() + 4 * i);
      device::commit_copies();
    }
    device::wait_copies<1>();
    for (int i = 0; i < 4; ++i) device::store(y.data() + i, device::load(s + 4 * group + i));
  };
  CHECK(mistake_of(1, 64, [&] { second(0); }) == "none");
  CHECK((y.values() == std::vector<float>{1, 2, 3, 4}));
  CHECK(mistake_of(1, 64, [&] { second(1); }) == "pending copy");
}

TEST("cuda emulator: accesses out of bounds") {
  Buffer<float> x(8);
  Buffer<float> constant(std::vector<float>(8), false);
  const auto first = [](auto body) {
    return [body] {
      if (threadIdx.x == 0) body();
    };
  };
  CHECK(mistake_of(32, 16, first([&] { device::load(x.data() + 8); })) == "bounds");
  CHECK(mistake_of(32, 16, first([&] { device::load(x.data() - 1); })) == "bounds");
  CHECK(mistake_of(32, 16, first([&] { device::store(x.data() + 8, 1.0f); })) == "bounds");
  CHECK(mistake_of(32, 16, first([&] { device::store(constant.data(), 1.0f); })) == "bounds");
  CHECK(mistake_of(32, 16, first([&] { device::atomic_add(x.data() + 9, 1.0f); })) == "bounds");
  CHECK(mistake_of(32, 16, first([&] { device::store(shared_floats() + 4, 1.0f); })) == "bounds");
  CHECK(mistake_of(32, 16, first([&] { device::copy16(shared_floats(), x.data() + 8); })) == "bounds");
  CHECK(mistake_of(32, 16, first([&] { device::copy16(shared_floats() + 4, x.data()); })) == "bounds");
  CHECK(mistake_of(32, 16, first([&] { device::copy16(shared_floats(), x.data() + 8, false); })) == "none");  // zeros: nothing is read
  CHECK(mistake_of(32, 16, [&] {
          uint32_t r[4];
          device::load_matrices(r, shared_floats() + 4);
        }) == "bounds");
}

TEST("cuda emulator: alignment and unwritten shared memory") {
  Buffer<float> x(8);
  CHECK(mistake_of(1, 64, [&] { device::copy16(shared_floats() + 1, x.data()); }) == "alignment");
  CHECK(mistake_of(1, 64, [&] { device::copy16(shared_floats(), x.data() + 1); }) == "alignment");
  CHECK(mistake_of(1, 64, [&] { device::load(shared_floats()); }) == "uninitialized");
}

TEST("cuda emulator: divergent warps and barriers that not all reach") {
  CHECK(mistake_of(32, 0, [&] {
          if (threadIdx.x < 16) device::shuffle(1.0f, 0);
          else device::ballot(true);
        }) == "divergence");
  CHECK(mistake_of(32, 0, [&] {
          if (threadIdx.x < 16) device::shuffle(1.0f, 0);
        }) == "deadlock");
  CHECK(mistake_of(64, 0, [&] {
          if (threadIdx.x < 32) device::sync_block();
          else device::shuffle(1.0f, 0), device::sync_block(), device::sync_block();
        }) == "none");  // threads that returned do not count
  CHECK(mistake_of(32, 0, [&] {
          if (threadIdx.x < 16) device::sync_block();
          else device::ballot(true);
        }) == "deadlock");
}

TEST("cuda emulator: launches that no chip can do") {
  CHECK(mistake_of(1025, 0, [] {}) == "launch");
  CHECK(mistake_of(32, 300 << 10, [] {}) == "launch");
  int parameters = 0;
  bool refused = false;
  try {
    emulator::launch("no such kernel", {}, 0, &parameters, sizeof parameters);
  } catch (const emulator::Fault& fault) {
    refused = fault.mistake == Mistake::launch;
  }
  CHECK(refused);
}

TEST("cuda emulator: bank conflicts are counted") {
  const auto conflicts = [](int stride) {
    const auto report = emulator::launch({{}, 32, size_t(8 * stride)}, [&] {
      char* s = device::shared_memory();
      for (int i = device::lane(); i < 8 * stride / 4; i += 32) device::store(reinterpret_cast<uint32_t*>(s) + i, 0u);
      device::sync_warp();
      uint32_t r[4];
      device::load_matrices(r, s + device::lane() % 8 * stride);
    });
    CHECK(report.matrix_loads == 4);
    return report.bank_conflicts;
  };
  CHECK(conflicts(128) == 4 * 7);  // all rows in the same banks
  CHECK(conflicts(64) == 4 * 3);
  CHECK(conflicts(144) == 0);
}

}  // namespace sdxl::test
