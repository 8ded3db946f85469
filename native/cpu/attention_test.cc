#include "cpu/test_data.h"

namespace sdxl::test {

namespace {

struct Heads {
  int64_t batch, queries, keys, heads, width;
  int64_t kv_batch = 0;  // 0: as batch
  std::vector<int64_t> key_counts = {};
  bool causal = false;
  float scale = 1;  // of the queries: large ones make the softmax sharp
  int hidden = 0;   // of three keys so many, never the first of an item; 3: all others
};

std::string text(const Heads& c) {
  return "attention " + std::to_string(c.batch) + "×" + std::to_string(c.heads) + " heads, " + std::to_string(c.queries) + " queries, " +
         std::to_string(c.keys) + " keys of " + std::to_string(c.width) + (c.kv_batch ? ", kv batch " + std::to_string(c.kv_batch) : "") +
         (c.key_counts.empty() ? "" : ", key counts") + (c.causal ? ", causal" : "") + (c.hidden ? ", hidden keys" : "");
}

// Queries first_query … of item first_item …; q, k and v lie in wider rows, with NaN between them.
std::vector<float> run(ops::Backend& backend, const Heads& c, int64_t first_item = 0, int64_t items = -1, int64_t first_query = 0, int64_t queries = -1) {
  if (items < 0) items = c.batch;
  if (queries < 0) queries = c.queries;
  const int64_t kv_batch = c.kv_batch ? c.kv_batch : c.batch, columns = c.heads * c.width, q_stride = columns + 3, kv_stride = 2 * columns + 1;
  const auto spread = [](const std::vector<float>& values, int64_t columns, int64_t stride, int64_t at, std::vector<float>& to, float scale) {
    for (size_t i = 0; i < values.size(); ++i) to[(i / size_t(columns)) * size_t(stride) + size_t(at) + i % size_t(columns)] = values[i] * scale;
  };
  std::vector<float> q(size_t(c.batch * c.queries * q_stride), NAN), kv(size_t(kv_batch * c.keys * kv_stride), NAN);
  spread(numbers(c.batch * c.queries * columns, 1), columns, q_stride, 1, q, c.scale);
  spread(numbers(kv_batch * c.keys * columns, 2), columns, kv_stride, 0, kv, 1);
  spread(numbers(kv_batch * c.keys * columns, 3), columns, kv_stride, columns, kv, 1);

  const int64_t each = c.batch / kv_batch, first_kv = first_item / each, kv_items = std::max<int64_t>(1, items / each);
  Guarded y(items * queries * columns);
  ops::Attention op{.q = q.data() + 1 + (first_item * c.queries + first_query) * q_stride,
                    .k = kv.data() + first_kv * c.keys * kv_stride,
                    .v = kv.data() + first_kv * c.keys * kv_stride + columns,
                    .q_stride = q_stride,
                    .kv_stride = kv_stride,
                    .batch = items,
                    .queries = queries,
                    .heads = c.heads,
                    .width = c.width,
                    .kv_batch = kv_items,
                    .keys = c.keys,
                    .key_counts = {},
                    .causal = c.causal,
                    .y = {y.data(), {items, queries, columns}}};
  if (!c.key_counts.empty()) op.key_counts.assign(c.key_counts.begin() + first_kv, c.key_counts.begin() + first_kv + kv_items);
  for (int64_t i = 0; c.hidden && i < kv_items * c.keys; ++i) op.hidden.push_back(i % c.keys && i % c.keys % 3 <= c.hidden - 1);
  backend.run(op);
  check(y.intact(), __FILE__, __LINE__, text(c) + " wrote beyond its tensor");
  return y.values();
}

void compare(const std::vector<Heads>& all) {
  const auto reference = make_reference_backend();
  std::vector<std::vector<float>> wanted;
  for (const Heads& c : all) wanted.push_back(run(*reference, c));
  on_each_backend([&](ops::Backend& backend, const std::string& on) {
    for (size_t i = 0; i < all.size(); ++i) {
      // The scores are sums of `width` products, scaled by scale / √width, and their error is relative in the weights; y is a mean of
      // numbers below 1. Rounding of e^x and of the sums over the keys add some ulps.
      const double scores = sum_tolerance(all[i].width) * all[i].scale / std::sqrt(double(all[i].width));
      check_close(run(backend, all[i]), wanted[i], scores + 16 * 0x1p-23, on + text(all[i]));
    }
  });
}

}  // namespace

TEST("cpu attention: widths and key counts of every kind") {
  std::vector<Heads> all;
  for (const int64_t width : {8, 24, 64, 96, 160})
    for (const int64_t keys : {1, 77, 80, 154, 300}) all.push_back({1, keys == 80 ? 101 : 9, keys, 2, width});
  all.push_back({1, 5, 1, 1, 512});
  all.push_back({1, 100, 300, 1, 512});
  all.push_back({1, 7, 77, 1, 1});
  all.push_back({1, 1, 520, 3, 17});
  all.push_back({2, 193, 513, 1, 40});
  compare(all);
}

TEST("cpu attention: broadcast of keys, limited keys, no keys, causal") {
  std::vector<Heads> all;
  all.push_back({4, 10, 33, 2, 24, 2});
  all.push_back({3, 10, 33, 2, 24, 1});
  all.push_back({4, 10, 300, 2, 24, 2, {77, 290}});
  all.push_back({3, 97, 154, 2, 24, 3, {154, 1, 77}});
  all.push_back({2, 10, 33, 2, 24, 2, {0, 5}});
  all.push_back({2, 77, 77, 3, 64, 0, {}, true});
  all.push_back({1, 300, 300, 1, 20, 0, {}, true});
  all.push_back({2, 120, 120, 1, 20, 0, {120, 50}, true});
  all.push_back({1, 40, 300, 1, 20, 0, {}, true});
  compare(all);
}

TEST("cpu attention: hidden keys, also where a whole block of keys is hidden") {
  std::vector<Heads> all;
  for (const int hidden : {1, 2, 3}) {
    all.push_back({2, 77, 77, 3, 64, 0, {}, true, 1, hidden});
    all.push_back({4, 10, 600, 2, 24, 2, {}, false, 1, hidden});
    all.push_back({2, 10, 300, 1, 24, 2, {290, 77}, false, 60, hidden});
  }
  compare(all);
}

TEST("cpu attention: a softmax so sharp that sums fall by many orders between blocks of keys") {
  // Scores reach about ±60: the largest of an early block is often left far behind by a later one, and weights underflow to 0.
  compare({{1, 50, 1100, 1, 64, 0, {}, false, 60}, {1, 50, 700, 1, 160, 0, {}, false, 60}});
}

TEST("cpu attention: the same bits for any number of threads, and for an item or a query alone or among others") {
  for (const std::string& isa : available_isas())
    for (const Heads& c : {Heads{4, 211, 300, 2, 24, 2, {290, 300}}, Heads{2, 203, 203, 2, 40, 0, {}, true}}) {
      const auto whole = run(*make_cpu_backend(1, 0, isa), c);
      for (const int threads : {2, 3, 8}) CHECK(same_bits(whole, run(*make_cpu_backend(threads, 0, isa), c)));
      const int64_t columns = c.heads * c.width, each = c.queries * columns;
      const auto two = make_cpu_backend(2, 0, isa);
      for (int64_t item = 0; item < c.batch; item += c.kv_batch ? 2 : 1) {
        const int64_t items = c.kv_batch ? 2 : 1;
        const std::vector<float> part(whole.begin() + item * each, whole.begin() + (item + items) * each);
        CHECK(same_bits(part, run(*two, c, item, items)));
      }
      if (c.causal) continue;  // there a query's place matters
      for (const int64_t query : {0, 95, 96, 210}) {
        const std::vector<float> part(whole.begin() + query * columns, whole.begin() + (query + 1) * columns);
        CHECK(same_bits(part, run(*two, Heads{c.batch, c.queries, c.keys, c.heads, c.width, c.kv_batch, c.key_counts}, 0, 1, query, 1)));
      }
    }
}

TEST("cpu attention: scratch memory stays near the size of the keys and values") {
  for (const std::string& isa : available_isas()) {
    const auto backend = make_cpu_backend(2, 0, isa);
    const Heads c{1, 1, 16384, 1, 512};
    run(*backend, c);
    const size_t keys_and_values = size_t(2 * c.keys * c.width) * sizeof(float);
    CHECK(backend->arena().peak() >= keys_and_values);
    CHECK(backend->arena().peak() < keys_and_values * 11 / 10);
  }
}

TEST("cpu attention: wrong shapes are an error, not a crash") {
  const auto backend = make_cpu_backend(1, 0, "");
  std::vector<float> memory(64);
  const float* m = memory.data();
  ops::Attention op{.q = m,
                    .k = m,
                    .v = m,
                    .q_stride = 4,
                    .kv_stride = 4,
                    .batch = 3,
                    .queries = 1,
                    .heads = 1,
                    .width = 4,
                    .kv_batch = 2,
                    .keys = 2,
                    .key_counts = {},
                    .y = {memory.data(), {3, 1, 4}}};
  CHECK(ERROR_OF(backend->run(op)).code == Code::internal);
  op.kv_batch = 3;
  op.key_counts = {1, 2, 3};
  CHECK(ERROR_OF(backend->run(op)).code == Code::internal);
  op.key_counts = {1};
  CHECK(ERROR_OF(backend->run(op)).code == Code::internal);
}

}  // namespace sdxl::test
