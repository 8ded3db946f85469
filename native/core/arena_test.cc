#include "core/arena.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include "test/check.h"

namespace sdxl {

TEST("arena: blocks are aligned, apart from each other and as large as their shape") {
  Arena arena;
  std::vector<Array> arrays;
  for (int64_t n = 1; n < 60; ++n) {
    arrays.push_back(arena.take({n, 3}));
    CHECK(reinterpret_cast<uintptr_t>(arrays.back().data()) % Arena::kAlign == 0);
    CHECK(arrays.back().shape() == Shape({n, 3}));
    for (int64_t i = 0; i < n * 3; ++i) arrays.back().data()[i] = float(n);
  }
  bool kept = true;
  for (const Array& a : arrays)
    for (int64_t i = 0; i < a.elements(); ++i) kept &= a.data()[i] == float(a.shape()[0]);
  CHECK(kept);
  arrays.clear();
  CHECK(arena.used() == 0);
}

TEST("arena: a loop reserves in its first round only, and finds the same places") {
  Arena arena;
  size_t reserved = 0;
  std::vector<float*> places;
  for (int round = 0; round < 5; ++round) {
    std::vector<float*> now;
    const Array a = arena.take({1000}), b = arena.take({20'000'000});
    {
      const Array c = arena.take({300, 40});
      now = {a.data(), b.data(), c.data()};
    }
    const Array d = arena.take({5000});
    now.push_back(d.data());
    if (round == 0) {
      reserved = arena.reserved();
      places = now;
    }
    CHECK(arena.reserved() == reserved);
    CHECK(now == places);
  }
}

TEST("arena: neighbours that were given back become one block, in whatever order") {
  for (int order = 0; order < 6; ++order) {
    Arena arena;
    const size_t first_region = [&] {
      std::vector<Array> parts;
      for (int i = 0; i < 3; ++i) parts.push_back(arena.take({2'000'000}));
      const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
      for (const int i : orders[order]) parts[size_t(i)] = Array();
      return arena.reserved();
    }();
    CHECK(arena.used() == 0);
    const Array whole = arena.take({6'000'000});  // only fits when all three are one
    CHECK(arena.reserved() == first_region);
  }
}

TEST("arena: used and peak") {
  Arena arena;
  CHECK(arena.used() == 0 && arena.peak() == 0 && arena.reserved() == 0);
  {
    const Array a = arena.take({16});
    CHECK(arena.used() == 64);
    const Array b = arena.take({17});  // rounded up to whole cache lines
    CHECK(arena.used() == 64 + 128);
  }
  const Array c = arena.take({16});
  CHECK(arena.used() == 64);
  CHECK(arena.peak() == 192);
  CHECK(arena.reserved() >= arena.peak());
}

TEST("arena: a limit is an error that names both numbers, and leaves the arena usable") {
  Arena arena(1 << 20);
  const Array a = arena.take({100'000});
  const Error error = ERROR_OF(arena.take({200'000}));
  CHECK(error.code == Code::out_of_memory);
  CHECK(error.message.find("800000") != std::string::npos);
  bool has_limit = false, has_wanted = false;
  for (const auto& [key, value] : error.details) {
    has_limit |= key == "limit" && value == Detail(int64_t(1 << 20));
    has_wanted |= key == "wanted" && value == Detail(int64_t(800'000));
  }
  CHECK(has_limit && has_wanted);
  CHECK(arena.used() == 400'000);
  const Array b = arena.take({100'000});
  CHECK(b && arena.reserved() <= arena.limit());
}

TEST("arena: under a limit, free regions of the wrong size make room") {
  Arena arena(1 << 20);
  for (int64_t n = 10'000; n <= 260'000; n += 10'000) CHECK(arena.take({n}).elements() == n);
  CHECK(arena.reserved() <= arena.limit());
}

TEST("arena: trim gives back what holds no block, and only that") {
  Arena arena;
  Array kept = arena.take({20'000'000});
  { const Array gone = arena.take({30'000'000}); }
  const size_t before = arena.reserved();
  kept.data()[19'999'999] = 4;
  arena.trim();
  CHECK(arena.reserved() < before);
  CHECK(arena.reserved() >= arena.used());
  CHECK(kept.data()[19'999'999] == 4);
  kept = Array();
  arena.trim();
  CHECK(arena.reserved() == 0);
  CHECK(arena.take({10}).elements() == 10);
}

TEST("arena: an array that moved gives its block back once") {
  Arena arena;
  Array a = arena.take({100});
  float* place = a.data();
  Array b = std::move(a);
  CHECK(!a && b.data() == place);
  a = arena.take({100});
  CHECK(arena.used() == 2 * 448);
  b = std::move(a);
  CHECK(arena.used() == 448);
  CHECK(arena.take({0}).elements() == 0);
}

TEST("arena: what is held outside counts, and is given back when memory runs short") {
  Arena arena(1 << 20);
  arena.set_outside(700'000);
  int calls = 0;
  arena.on_shortage([&] {
    ++calls;
    arena.set_outside(0);
  });
  CHECK(arena.peak() == 700'000);
  const Array small = arena.take({50'000});  // 200 kB
  CHECK(calls == 0);
  CHECK(arena.peak() == arena.used() + 700'000);
  CHECK(arena.room(100'000) == (1 << 20) - 700'000 - arena.used() && calls == 0);
  const Array large = arena.take({150'000});
  CHECK(calls == 1);
  arena.set_outside(200'000);
  CHECK(arena.room(100'000) < 100'000 + 200'000 && calls == 2);
  arena.on_shortage({});
  arena.set_outside(200'000);
  CHECK(ERROR_OF(arena.take({200'000})).code == Code::out_of_memory);
}

}  // namespace sdxl
