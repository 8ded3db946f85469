#include "cuda/emulator/engine.h"

#include <cstring>

#include "cuda/emulator/global_memory.h"

namespace sdxl::emulator {

static_assert(sizeof(cuda::TensorBox) <= sizeof(cuda::TensorMap));

namespace {

constexpr size_t kRow = 128, kVector = 16, kRepeat = 1024;  // bytes: of a row, of a swizzled unit, after which the pattern repeats

// Where byte `at` of an unswizzled tile of rows of 128 bytes lies.
size_t swizzled(size_t at) { return at ^ (at / kRow % 8 * kVector); }

}  // namespace

cuda::TensorMap encode(const cuda::TensorBox& box) {
  const auto refuse = [](const char* what) { throw Fault(Mistake::launch, std::string("a tensor map with ") + what); };
  if (box.dimensions < 1 || box.dimensions > cuda::TensorBox::kMost) refuse("so many dimensions");
  if (reinterpret_cast<uintptr_t>(box.data) % 16 != 0) refuse("data that are not aligned to 16 bytes");
  if (box.strides[0] != 2 || box.box[0] * 2 != int(kRow)) refuse("rows that are not 128 bytes");
  for (int i = 0; i < box.dimensions; ++i) {
    if (box.sizes[i] < 1 || box.box[i] < 1 || box.box[i] > 256) refuse("an empty or too large side");
    if (i > 0 && (box.strides[i] % 16 != 0 || box.strides[i] >= int64_t(1) << 40)) refuse("a stride that is no multiple of 16 bytes");
  }
  cuda::TensorMap map{};
  std::memcpy(&map, &box, sizeof box);
  return map;
}

CountingBarrier& barrier_at(const void* barrier) {
  const auto it = block->engine->barriers.find(barrier);
  if (it == block->engine->barriers.end()) fault(Mistake::uninitialized, "a barrier that nobody initialized");
  return it->second;
}

namespace {

void complete_if_done(CountingBarrier& barrier) {
  if (barrier.left > 0 || barrier.bytes != 0) return;
  barrier.left = barrier.arrivals;
  ++barrier.phase;
}

}  // namespace

void arrive_at(CountingBarrier& barrier) {
  if (barrier.left == 0) fault(Mistake::arrivals, "more arrivals at a barrier than it expects");
  --barrier.left;
  complete_if_done(barrier);
}

void wait_for(CountingBarrier& barrier, int phase) {
  while ((barrier.phase & 1) == uint64_t(phase)) sleep_idly();
}

void begin_tile_copy(void* to, const cuda::TensorMap& map, const void* barrier, std::array<int64_t, cuda::TensorBox::kMost> first) {
  TileCopy copy{static_cast<char*>(to), {}, first, &barrier_at(barrier)};
  std::memcpy(&copy.box, &map, sizeof copy.box);
  size_t bytes = 2;
  for (int i = 0; i < copy.box.dimensions; ++i) bytes *= size_t(copy.box.box[i]);
  if (!block->shared->contains(to)) fault(Mistake::bounds, "a copy to something that is not shared memory");
  if (size_t(copy.to - block->shared->data()) % kRepeat != 0) fault(Mistake::alignment, "a tile that is not aligned to 1024 bytes");
  block->shared->begin_tile(to, bytes);
  block->engine->copies.push_back(copy);
}

bool Engine::land_copy(std::mt19937& random) {
  if (copies.empty()) return false;
  const size_t chosen = random() % copies.size();
  const TileCopy copy = copies[chosen];
  copies.erase(copies.begin() + ptrdiff_t(chosen));
  const cuda::TensorBox& box = copy.box;
  size_t vectors = 1;  // of 16 bytes, along the rows first
  for (int i = 0; i < box.dimensions; ++i) vectors *= size_t(box.box[i]) / (i ? 1 : 8);
  for (size_t v = 0; v < vectors; ++v) {
    const char* from = static_cast<const char*>(box.data);
    bool inside = true;
    int64_t along = 0;
    size_t rest = v;
    for (int i = 0; i < box.dimensions; ++i) {
      const size_t side = size_t(box.box[i]) / (i ? 1 : 8);
      const int64_t at = copy.first[size_t(i)] + int64_t(rest % side) * (i ? 1 : 8);
      rest /= side;
      if (i == 0) along = at;
      inside &= at >= 0 && at < box.sizes[i];
      from += at * box.strides[i];
    }
    char* to = copy.to + swizzled(v * kVector);
    std::memset(to, 0, kVector);
    if (!inside) continue;
    const size_t bytes = std::min<size_t>(kVector, size_t(box.sizes[0] - along) * 2);
    if (!in_buffer(from, bytes, false)) throw Fault(Mistake::bounds, "a tile of global memory that no buffer has");
    std::memcpy(to, from, bytes);
  }
  const size_t bytes = vectors * kVector;
  block->shared->finish_tile(copy.to, bytes);
  copy.barrier->bytes -= int64_t(bytes);
  complete_if_done(*copy.barrier);
  return true;
}

void Engine::finish() {
  bool unfinished = !copies.empty();
  for (const auto& [index, group] : groups) unfinished |= group.products.size() > 1 || !group.products.back().empty();
  if (unfinished) throw Fault(Mistake::unfinished, "a block ended before its copies and products had");
}

namespace {

constexpr int kRows = 64, kInner = 16;

// Calls body(row, vector, address) for the 16-byte vectors of an operand, so many in each row. The descriptor as the hardware reads it has
// start, stride of eight rows and swizzle, in units of 16 bytes.
template <class F>
void each_vector(uint64_t descriptor, int rows, int vectors, F body) {
  if (descriptor >> 62 != 1) throw Fault(Mistake::launch, "a descriptor without the swizzle of 128 bytes");
  const size_t start = (descriptor & 0x3FFF) << 4, eight_rows = (descriptor >> 32 & 0x3FFF) << 4;
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) {
      const char* from = block->shared->data() + swizzled(start + size_t(r) / 8 * eight_rows + size_t(r) % 8 * kRow + size_t(v) * kVector);
      block->shared->read_tile(from, kVector);
      body(r, v, from);
    }
}

}  // namespace

void check(const GroupProduct& p) {
  if (!p.a_in_registers) each_vector(p.a, kRows, 2, [](int, int, const char*) {});
  each_vector(p.b, p.a_in_registers ? kInner : p.columns, p.a_in_registers ? p.columns / 8 : 2, [](int, int, const char*) {});
}

void compute(const GroupProduct& p) {
  static thread_local std::vector<float> a, b;  // [row][k], [k][column]
  a.resize(kRows * kInner);
  b.resize(size_t(p.columns * kInner));
  const auto element = [&](const char* from, int i) {
    uint16_t bits;
    std::memcpy(&bits, from + 2 * i, 2);
    return p.to_float(bits);
  };
  if (p.a_in_registers) {
    for (int thread = 0; thread < kGroup; ++thread)
      for (int i = 0; i < 4; ++i) {
        const uint32_t pair = p.registers[size_t(thread)][size_t(i)];
        const int r = thread / 32 * 16 + thread % 32 / 4 + i % 2 * 8, k = 2 * (thread % 4) + i / 2 * 8;
        a[size_t(r * kInner + k)] = p.to_float(uint16_t(pair));
        a[size_t(r * kInner + k + 1)] = p.to_float(uint16_t(pair >> 16));
      }
    each_vector(p.b, kInner, p.columns / 8, [&](int k, int v, const char* from) {
      for (int i = 0; i < 8; ++i) b[size_t(k * p.columns + 8 * v + i)] = element(from, i);
    });
  } else {
    each_vector(p.a, kRows, 2, [&](int r, int v, const char* from) {
      for (int i = 0; i < 8; ++i) a[size_t(r * kInner + 8 * v + i)] = element(from, i);
    });
    each_vector(p.b, p.columns, 2, [&](int c, int v, const char* from) {
      for (int i = 0; i < 8; ++i) b[size_t((8 * v + i) * p.columns + c)] = element(from, i);
    });
  }
  std::vector<float> row(static_cast<size_t>(p.columns));
  for (int r = 0; r < kRows; ++r) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (int k = 0; k < kInner; ++k)
      for (int c = 0; c < p.columns; ++c) row[size_t(c)] += a[size_t(r * kInner + k)] * b[size_t(k * p.columns + c)];
    for (int c = 0; c < p.columns; ++c) {
      const int thread = r / 16 * 32 + r % 8 * 4 + c % 8 / 2, i = c / 8 * 4 + r % 16 / 8 * 2 + c % 2;
      float& sum = p.sums[size_t(thread)][i];
      sum = (p.add ? sum : 0) + row[size_t(c)];
    }
  }
}

}  // namespace sdxl::emulator
