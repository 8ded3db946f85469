#include "cpu/test_data.h"

namespace sdxl::test {

namespace {

struct Group {
  int64_t batch, height, width, channels;
  int groups;
  bool silu = false;
  float offset = 0;  // mean of x, whose deviation is 0.6
};

std::string text(const Group& c) {
  return "group norm " + std::to_string(c.batch) + "×" + std::to_string(c.height) + "×" + std::to_string(c.width) + "×" + std::to_string(c.channels) + " in " +
         std::to_string(c.groups) + (c.silu ? " silu" : "") + (c.offset != 0 ? " offset" : "");
}

std::vector<float> run(ops::Backend& backend, const Group& c, bool in_place, int64_t only = -1) {
  const int64_t each = c.height * c.width * c.channels, batch = only < 0 ? c.batch : 1;
  auto x = numbers(c.batch * each, 1);
  for (float& v : x) v += c.offset;
  const auto weight = numbers(c.channels, 2), bias = numbers(c.channels, 3);
  if (only >= 0) x.assign(x.begin() + only * each, x.begin() + (only + 1) * each);
  Guarded y(x);
  const Shape shape{batch, c.height, c.width, c.channels};
  backend.run(ops::GroupNorm{.x = {in_place ? y.data() : x.data(), shape},
                             .weight = {weight.data(), {c.channels}},
                             .bias = {bias.data(), {c.channels}},
                             .y = {y.data(), shape},
                             .groups = c.groups,
                             .eps = 1e-5f,
                             .silu = c.silu});
  check(y.intact(), __FILE__, __LINE__, text(c) + " wrote beyond its tensor");
  return y.values();
}

}  // namespace

TEST("cpu group norm") {
  std::vector<Group> all;
  for (const bool silu : {false, true}) {
    all.push_back({1, 1, 1, 4, 2, silu});
    all.push_back({2, 5, 7, 6, 3, silu});
    all.push_back({2, 3, 3, 32, 32, silu});
    all.push_back({2, 3, 5, 12, 3, silu});
    all.push_back({1, 9, 11, 40, 4, silu});
    all.push_back({1, 16, 16, 320, 32, silu});
    all.push_back({3, 1, 5, 33, 11, silu});
    all.push_back({1, 70, 90, 20, 4, silu});  // several chunks of pixels
    all.push_back({1, 12, 12, 64, 8, silu, 300});
  }
  const auto reference = make_reference_backend();
  for (const Group& c : all) {
    const auto wanted = run(*reference, c, false);
    // Values of a few units, some roundings each; the mean is rounded to float once, half an ulp of the offset over the deviation.
    const double tolerance = 2e-6 + std::abs(c.offset) * 0x1p-23 * 3;
    on_each_backend([&](ops::Backend& backend, const std::string& on) {
      for (const bool in_place : {false, true}) check_close(run(backend, c, in_place), wanted, tolerance, on + text(c));
    });
  }
}

TEST("cpu group norm: the same bits for any number of threads, and for an image alone or among others") {
  const Group c{3, 60, 61, 30, 5, true};
  for (const std::string& isa : available_isas()) {
    const auto whole = run(*make_cpu_backend(1, 0, isa), c, false);
    for (const int threads : {2, 3, 8}) CHECK(same_bits(whole, run(*make_cpu_backend(threads, 0, isa), c, false)));
    const int64_t each = int64_t(whole.size()) / c.batch;
    for (int64_t image = 0; image < c.batch; ++image) {
      const std::vector<float> part(whole.begin() + image * each, whole.begin() + (image + 1) * each);
      CHECK(same_bits(part, run(*make_cpu_backend(2, 0, isa), c, false, image)));
    }
  }
}

TEST("cpu layer norm") {
  const auto reference = make_reference_backend();
  for (const int64_t rows : {1, 2, 77, 130})
    for (const int64_t channels : {1, 3, 8, 64, 129, 640, 1280})
      for (const float offset : {0.0f, 100.0f}) {
        auto x = numbers(rows * channels, 1);
        for (float& v : x) v += offset;
        const auto weight = numbers(channels, 2), bias = numbers(channels, 3);
        const auto run = [&](ops::Backend& backend, bool in_place, int64_t first, int64_t count) {
          Guarded y(std::vector<float>(x.begin() + first * channels, x.begin() + (first + count) * channels));
          backend.run(ops::LayerNorm{.x = {in_place ? y.data() : x.data() + first * channels, {count, channels}},
                                     .weight = {weight.data(), {channels}},
                                     .bias = {bias.data(), {channels}},
                                     .y = {y.data(), {count, channels}},
                                     .eps = 1e-5f});
          CHECK(y.intact());
          return y.values();
        };
        const auto wanted = run(*reference, false, 0, rows);
        const double tolerance = 2e-6 + offset * 0x1p-23 * 3;  // as for group norm
        on_each_backend([&](ops::Backend& backend, const std::string& on) {
          const std::string what = on + "layer norm " + std::to_string(rows) + "×" + std::to_string(channels);
          const auto found = run(backend, false, 0, rows);
          // Three channels or fewer may lie so close together that eps and the rounding of the mean are all that is left.
          check_close(found, wanted, channels <= 3 ? tolerance * 50 : tolerance, what);
          CHECK(same_bits(found, run(backend, true, 0, rows)));
          const std::vector<float> last(found.end() - channels, found.end());
          CHECK(same_bits(last, run(backend, false, rows - 1, 1)));
        });
      }
}

}  // namespace sdxl::test
