// The emulated copy engine and wgmma: what they mean, and mistakes planted in a ring of buffers between a copying and a multiplying group.
#include "cuda/emulator/engine.h"

#include "cuda/emulator/global_memory.h"
#include "cuda/kernels/device_sm90.h"
#include "cuda/kernels/swizzle.h"
#include "test/check.h"

namespace sdxl::test {

namespace {

using namespace sdxl::cuda;  // NOLINT: as kernels write it
using emulator::Mistake;

enum class Planted { none, no_wait_for_copies, no_wait_for_space, early_release, reading_unfinished_sums, too_few_bytes, wrong_step, no_release };

constexpr int kRows = 64, kColumns = 128, kRounds = 5, kStages = 2;
constexpr int kStage = (kRows + kColumns) * kDepth;

struct Product {
  TensorMap x, w;
  float* y;  // [64, 128]
};

// y = x · wᵀ by one copying warp and one multiplying group.
template <Planted kPlanted>
void product(const Product& p) {
  bf16* ring = reinterpret_cast<bf16*>(device::shared_memory());
  uint64_t* full = reinterpret_cast<uint64_t*>(ring + kStages * kStage);
  uint64_t* empty = full + kStages;
  const int lane = device::lane(), warp = device::warp();
  if (threadIdx.x == 0)
    for (int i = 0; i < kStages; ++i) {
      device::init_barrier(full + i, 1);
      device::init_barrier(empty + i, 4);
    }
  device::sync_block();
  if (warp >= 4) {
    if (threadIdx.x != 128) return;
    for (int round = 0; round < kRounds; ++round) {
      const int stage = round % kStages, phase = round / kStages % 2;
      if (kPlanted != Planted::no_wait_for_space) device::wait_barrier(empty + stage, phase ^ 1);
      device::arrive_expecting(full + stage, kStage * 2 - (kPlanted == Planted::too_few_bytes ? kColumns * kDepth * 2 : 0));
      device::copy_tile(ring + stage * kStage, &p.x, full + stage, round * kDepth, 0);
      device::copy_tile(ring + stage * kStage + kRows * kDepth, &p.w, full + stage, round * kDepth, 0);
    }
    return;
  }
  float sums[kColumns / 2];
  for (int round = 0; round < kRounds; ++round) {
    const int stage = round % kStages, phase = round / kStages % 2;
    if (kPlanted != Planted::no_wait_for_copies) device::wait_barrier(full + stage, phase);
    const uint64_t a = device::descriptor(ring + stage * kStage), b = device::descriptor(ring + stage * kStage + kRows * kDepth);
    device::begin_wgmma();
    for (int step = 0; step < kDepth / 16; ++step) {
      const int along = kPlanted == Planted::wrong_step ? step : 2 * step;
      device::wgmma<bf16, kColumns>(sums, a + along, b + along, round + step > 0);
    }
    device::commit_wgmma();
    if (kPlanted == Planted::early_release && lane == 0) device::arrive(empty + stage);
    if (kPlanted != Planted::reading_unfinished_sums) device::wait_wgmma<0>();
    if (kPlanted != Planted::early_release && kPlanted != Planted::no_release && lane == 0) device::arrive(empty + stage);
  }
  for (int i = 0; i < kColumns / 2; ++i) {
    const int row = 16 * warp + lane / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + 2 * (lane % 4) + i % 2;
    device::store(p.y + row * kColumns + column, sums[i]);
  }
}

// How a launch ends: "right", "wrong", or the mistake it is caught in.
template <Planted kPlanted>
std::string outcome(unsigned seed) {
  const int rows = 50, columns = 121, inner = kDepth * kRounds - 24;  // less than the boxes
  const auto value = [](int i) { return device::from_float<bf16>(float(i * 29 % 15 - 7)); };
  std::vector<bf16> x, w;
  for (int i = 0; i < rows * inner; ++i) x.push_back(value(i));
  for (int i = 0; i < columns * inner; ++i) w.push_back(value(i + 3));
  const emulator::Buffer<bf16> from_x(x, false), from_w(w, false);
  emulator::Buffer<float> y(size_t(kRows * kColumns), NAN);
  const auto map = [&](const bf16* data, int count, int box) {
    return emulator::encode({.data = data, .dimensions = 2, .sizes = {inner, count}, .strides = {2, 2 * inner}, .box = {kDepth, box}});
  };
  const Product p{map(from_x.data(), rows, kRows), map(from_w.data(), columns, kColumns), y.data()};
  try {
    emulator::launch({{}, 160, kStages * kStage * sizeof(bf16) + 2 * kStages * sizeof(uint64_t), seed}, [&] { product<kPlanted>(p); });
  } catch (const emulator::Fault& fault) {
    return fault.mistake == Mistake::pending_copy    ? "pending copy"
           : fault.mistake == Mistake::uninitialized ? "uninitialized"
           : fault.mistake == Mistake::deadlock      ? "deadlock"
           : fault.mistake == Mistake::unfinished    ? "unfinished"
           : fault.mistake == Mistake::arrivals      ? "arrivals"
                                                     : fault.what();
  }
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) {
      float sum = 0;
      for (int k = 0; k < inner && r < rows && c < columns; ++k) sum += device::to_float(x[size_t(r * inner + k)]) * device::to_float(w[size_t(c * inner + k)]);
      if (y.values()[size_t(r * kColumns + c)] != sum) return "wrong";
    }
  return "right";
}

// Every schedule shows it; in which of the ways is a matter of the schedule.
template <Planted kPlanted>
void shows(const std::vector<std::string>& ways) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    const std::string found = outcome<kPlanted>(seed);
    check(std::find(ways.begin(), ways.end(), found) != ways.end(), __FILE__, __LINE__, "planted mistake " + std::to_string(int(kPlanted)) + ": " + found);
  }
}

}  // namespace

TEST("cuda emulator: a ring between the copy engine and wgmma is right in every schedule") {
  for (unsigned seed = 1; seed <= 8; ++seed) CHECK(outcome<Planted::none>(seed) == "right");
}

TEST("cuda emulator: shows mistakes in rings") {
  shows<Planted::no_wait_for_copies>({"pending copy", "uninitialized", "wrong"});
  shows<Planted::no_wait_for_space>({"pending copy", "arrivals", "wrong"});
  shows<Planted::early_release>({"pending copy", "wrong"});
  shows<Planted::reading_unfinished_sums>({"unfinished"});
  shows<Planted::too_few_bytes>({"pending copy", "uninitialized", "wrong", "arrivals", "deadlock"});
  shows<Planted::wrong_step>({"wrong"});
  shows<Planted::no_release>({"deadlock"});
}

TEST("cuda emulator: the copy engine fills boxes of pictures, zeros beyond their edges") {
  constexpr int kChannels = 16, kWidth = 3, kHeight = 2, kImages = 2, kBoxWidth = 4, kBoxHeight = 2;
  std::vector<bf16> x;
  for (int i = 0; i < kChannels * kWidth * kHeight * kImages; ++i) x.push_back(device::from_float<bf16>(float(i + 1)));
  const emulator::Buffer<bf16> from(x, false);
  const TensorMap map = emulator::encode({.data = from.data(),
                                          .dimensions = 4,
                                          .sizes = {kChannels, kWidth, kHeight, kImages},
                                          .strides = {2, 2 * kChannels, 2 * kChannels * kWidth, 2 * kChannels * kWidth * kHeight},
                                          .box = {kDepth, kBoxWidth, kBoxHeight, 1}});
  for (const int x0 : {-1, 0, 2})
    for (const int y0 : {-1, 0, 1}) {
      emulator::Buffer<float> y(size_t(kBoxWidth * kBoxHeight * kDepth), NAN);
      emulator::launch({{}, 32, 4096}, [&] {
        bf16* tile = reinterpret_cast<bf16*>(device::shared_memory());
        uint64_t* barrier = reinterpret_cast<uint64_t*>(tile + kBoxWidth * kBoxHeight * kDepth);
        if (threadIdx.x == 0) {
          device::init_barrier(barrier, 1);
          device::arrive_expecting(barrier, kBoxWidth * kBoxHeight * kDepth * 2);
          device::copy_tile(tile, &map, barrier, 0, x0, y0, 1);
        }
        device::sync_block();
        device::wait_barrier(barrier, 0);
        for (int i = device::lane(); i < kBoxWidth * kBoxHeight * kDepth; i += 32)
          device::store(y.data() + i, device::to_float(device::load(tile + swizzled(i / kDepth, i % kDepth / 8) + i % 8)));
      });
      for (int i = 0; i < kBoxWidth * kBoxHeight * kDepth; ++i) {
        const int c = i % kDepth, column = x0 + i / kDepth % kBoxWidth, row = y0 + i / kDepth / kBoxWidth;
        const bool inside = c < kChannels && column >= 0 && column < kWidth && row >= 0 && row < kHeight;
        const float wanted = inside ? float(((kHeight + row) * kWidth + column) * kChannels + c + 1) : 0;
        CHECK(y.values()[size_t(i)] == wanted);
      }
    }
}

TEST("cuda emulator: tensor maps that the driver would refuse") {
  const emulator::Buffer<bf16> x(4096);
  const auto refused = [&](auto change) {
    TensorBox box{.data = x.data(), .dimensions = 2, .sizes = {64, 8}, .strides = {2, 128}, .box = {64, 8}};
    emulator::encode(box);
    change(box);
    try {
      emulator::encode(box);
    } catch (const emulator::Fault& fault) {
      return fault.mistake == Mistake::launch;
    }
    return false;
  };
  CHECK(refused([](TensorBox& b) { b.data = static_cast<const bf16*>(b.data) + 4; }));
  CHECK(refused([](TensorBox& b) { b.strides[1] = 120; }));
  CHECK(refused([](TensorBox& b) { b.box[1] = 257; }));
  CHECK(refused([](TensorBox& b) { b.box[0] = 32; }));
  CHECK(refused([](TensorBox& b) { b.sizes[1] = 0; }));
}

}  // namespace sdxl::test
