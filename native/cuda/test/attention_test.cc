#include "cuda/launch/attention.h"
#include "cuda/emulator/engine.h"
#include "cuda/test/emulated.h"
#include "reference/ops.h"

namespace sdxl::test {

namespace {

struct Heads {
  int64_t batch, queries, keys, heads, width = 64, kv_batch = 0;  // 0: batch
  std::vector<int64_t> key_counts = {};
  std::vector<uint8_t> hidden = {};
  bool causal = false;
  int64_t gap = 0;   // elements between rows
  float spread = 1;  // of q: large ones make single keys win
};

std::string text(const Heads& c, cuda::Element element) {
  return std::string("attention ") + name_of(element) + " batch " + std::to_string(c.batch) + "/" + std::to_string(c.kv_batch) + " " +
         std::to_string(c.queries) + "×" + std::to_string(c.keys) + " heads " + std::to_string(c.heads) + "×" + std::to_string(c.width) +
         (c.key_counts.empty() ? "" : " counts") + (c.hidden.empty() ? "" : " hidden") + (c.causal ? " causal" : "") + " spread " + std::to_string(c.spread);
}

void compare(Heads c, cuda::Element element, const cuda::Chip& chip = kHopper, unsigned seed = 1, bool wgmma = false) {
  if (!c.kv_batch) c.kv_batch = c.batch;
  const int64_t width = c.heads * c.width, stride = width + c.gap;
  auto raw = numbers(c.batch * c.queries * stride, 1);
  for (float& v : raw) v *= c.spread;
  const Numbers q(raw, element), k(c.kv_batch * c.keys * stride, 2, element), v(c.kv_batch * c.keys * stride, 3, element);
  std::vector<float> wanted(size_t(c.batch * c.queries * width));
  reference::run(ops::Attention{.q = q.values.data(),
                                .k = k.values.data(),
                                .v = v.values.data(),
                                .q_stride = stride,
                                .kv_stride = stride,
                                .batch = c.batch,
                                .queries = c.queries,
                                .heads = c.heads,
                                .width = c.width,
                                .kv_batch = c.kv_batch,
                                .keys = c.keys,
                                .key_counts = c.key_counts,
                                .causal = c.causal,
                                .hidden = c.hidden,
                                .y = {wanted.data(), {c.batch, c.queries, width}}});

  Buffer<int32_t> counts(std::vector<int32_t>(c.key_counts.begin(), c.key_counts.end()), false);
  Buffer<uint8_t> hidden(c.hidden, false);
  auto y = unwritten(c.batch * c.queries * width);
  const cuda::Attention op{.element = element,
                           .q = q.data(),
                           .k = k.data(),
                           .v = v.data(),
                           .y = y.data(),
                           .q_stride = stride,
                           .kv_stride = stride,
                           .batch = c.batch,
                           .queries = c.queries,
                           .heads = c.heads,
                           .width = c.width,
                           .kv_batch = c.kv_batch,
                           .keys = c.keys,
                           .key_counts = c.key_counts.empty() ? nullptr : counts.data(),
                           .hidden = c.hidden.empty() ? nullptr : hidden.data(),
                           .causal = c.causal};
  const auto launch = wgmma ? wgmma_launch_of(op, chip, emulator::encode) : launch_of(op, chip);
  const auto report = emulate(launch, seed);
  const std::string what = text(c, element) + " by " + launch.kernel;
  check(report.bank_conflicts == 0, __FILE__, __LINE__, what + " has bank conflicts");
  // Probabilities are rounded to 16 bits before they meet v, whose elements are at most 1: half a unit of their sum, which is 1. Then y is
  // rounded itself, and the scores' fp32 sums of `width` products move every probability alike.
  check_within(values_of(y, element), wanted, rounding_of(element), rounding_of(element) + 8 * c.spread * sum_tolerance(c.width), what);
}

}  // namespace

TEST("cuda attention: odd numbers of queries and keys, every tile") {
  for (const cuda::Element element : kElements) {
    for (const int64_t keys : {1, 7, 64, 65, 77, 80, 128, 150, 154, 231})
      for (const int64_t queries : {1, 65}) compare({.batch = 1, .queries = queries, .keys = keys, .heads = 2}, element);
    // A chip of few multiprocessors takes the tiles with 128 rows.
    for (const int64_t keys : {64, 77, 190}) compare({.batch = 2, .queries = 150, .keys = keys, .heads = 2}, element, {80, 2, 163 << 10});
  }
}

TEST("cuda attention: narrow heads, gaps between rows, fewer items of keys than of queries") {
  for (const cuda::Element element : kElements) {
    for (const int64_t width : {8, 24, 40, 56}) compare({.batch = 2, .queries = 33, .keys = 70, .heads = 3, .width = width, .gap = 16}, element);
    compare({.batch = 4, .queries = 10, .keys = 77, .heads = 2, .kv_batch = 2}, element);
    compare({.batch = 3, .queries = 10, .keys = 20, .heads = 2, .kv_batch = 1}, element);
  }
}

TEST("cuda attention: masks") {
  for (const cuda::Element element : kElements)
    for (const bool causal : {false, true}) {
      compare({.batch = 2, .queries = 77, .keys = 77, .heads = 2, .causal = causal}, element);
      compare({.batch = 3, .queries = 100, .keys = 170, .heads = 1, .key_counts = {170, 1, 77}, .causal = causal}, element);
      compare({.batch = 2, .queries = 20, .keys = 90, .heads = 1, .key_counts = {0, 81}, .causal = causal}, element);
      std::vector<uint8_t> hidden(2 * 100);
      for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = i % 100 > 0 && (i * 7 % 5 < 2 || i % 100 > 70);
      compare({.batch = 4, .queries = 100, .keys = 100, .heads = 1, .kv_batch = 2, .hidden = hidden, .causal = causal}, element);
      std::fill(hidden.begin() + 1, hidden.begin() + 95, uint8_t(1));  // whole tiles but for the first key
      compare({.batch = 2, .queries = 100, .keys = 100, .heads = 1, .hidden = hidden, .causal = causal}, element);
    }
}

TEST("cuda attention: scores that grow along the keys, and very unequal ones") {
  for (const cuda::Element element : kElements)
    for (const float spread : {0.0f, 30.0f, 300.0f}) {
      // Large scores make rounding of the fp32 score itself visible: the tolerance has spread as a factor.
      compare({.batch = 1, .queries = 70, .keys = 200, .heads = 1, .spread = spread}, element);
      compare({.batch = 1, .queries = 20, .keys = 200, .heads = 1, .width = 128, .spread = spread}, element);
    }
}

TEST("cuda attention: the VAE's wide heads") {
  for (const cuda::Element element : kElements)
    for (const int64_t width : {72, 128, 200, 512}) {
      compare({.batch = 2, .queries = 70, .keys = 130, .heads = 1, .width = width}, element);
      compare({.batch = 1, .queries = 64, .keys = 5, .heads = 2, .width = width, .gap = 8}, element);
    }
}

TEST("cuda attention by wgmma: odd numbers of queries and keys") {
  for (const cuda::Element element : kElements) {
    unsigned seed = 0;
    for (const int64_t keys : {1, 77, 128, 129, 256, 390}) compare({.batch = 1, .queries = 70, .keys = keys, .heads = 2}, element, kHopper, ++seed, true);
    compare({.batch = 2, .queries = 150, .keys = 150, .heads = 3, .gap = 16}, element, kHopper, ++seed, true);
    compare({.batch = 4, .queries = 10, .keys = 77, .heads = 2, .kv_batch = 2}, element, kHopper, ++seed, true);
    for (const float spread : {0.0f, 30.0f, 300.0f})
      compare({.batch = 1, .queries = 70, .keys = 400, .heads = 1, .spread = spread}, element, kHopper, ++seed, true);
  }
}

TEST("cuda attention: what no kernel can do is an error") {
  Buffer<uint16_t> memory(4096);
  const auto code = [&](auto change) {
    cuda::Attention op{.element = cuda::Element::bf16,
                       .q = memory.data(),
                       .k = memory.data(),
                       .v = memory.data(),
                       .y = memory.data(),
                       .q_stride = 64,
                       .kv_stride = 64,
                       .batch = 2,
                       .queries = 8,
                       .heads = 1,
                       .width = 64,
                       .kv_batch = 1,
                       .keys = 8};
    launch_of(op, kAda);
    change(op);
    return ERROR_OF(launch_of(op, kAda)).code;
  };
  CHECK(code([](cuda::Attention& op) { op.width = 60; }) == Code::internal);
  CHECK(code([](cuda::Attention& op) { op.width = 520; }) == Code::internal);
  CHECK(code([](cuda::Attention& op) { op.width = 128, op.causal = true; }) == Code::internal);
  CHECK(code([](cuda::Attention& op) { op.q_stride = 60; }) == Code::internal);
  CHECK(code([](cuda::Attention& op) { op.kv_batch = 3; }) == Code::internal);
  CHECK(code([](cuda::Attention& op) { op.keys = 0; }) == Code::internal);
}

}  // namespace sdxl::test
