// The engine without Node, on the tiny model: what the sanitizers watch. Numbers are checked against Diffusers in test/model.
#include "engine/model.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "test/check.h"

namespace sdxl::engine {

namespace {

constexpr int32_t kStart = 49406, kEnd = 49407;

Prompt prompt(std::vector<int32_t> tokens) {
  Chunk chunk;
  chunk.ids.fill(kEnd), chunk.ids2.fill(0);
  chunk.weights.fill(1), chunk.weights2.fill(1);
  chunk.ids[0] = chunk.ids2[0] = kStart;
  for (size_t i = 0; i < tokens.size(); ++i) chunk.ids[i + 1] = chunk.ids2[i + 1] = tokens[i];
  chunk.ids2[tokens.size() + 1] = kEnd;
  return {.texts = {{1, {.chunks = {chunk, chunk}}}}};
}

// Euler from σ to 0 in equal steps, with noise added on the way.
Plan plan(int steps, double sigma) {
  Plan p{.registers = 2, .steps_total = steps, .initial = sigma, .steps = {}};
  for (int i = 0; i < steps; ++i) {
    const double from = sigma * (steps - i) / steps, to = sigma * (steps - i - 1) / steps, ratio = to / from;
    p.steps.push_back({.index = i,
                       .calls_model = true,
                       .call = {from, 500. * (steps - i) / steps, {{1, Plan::kX}}},
                       .writes = {{Plan::kX, {{ratio, Plan::kX}, {1 - ratio, Plan::kDenoised}, {0.01 * to, -1 - i}}}}});
  }
  return p;
}

GenerateRequest request(int steps, std::vector<uint64_t> seeds, Rng rng) {
  GenerateRequest r;
  r.prompts = {prompt({1615}), prompt({320, 736, 7117})};
  r.plan = plan(steps, 5);
  r.branches = {{-2, std::vector<int>(size_t(steps), 0)}, {3, std::vector<int>(size_t(steps), 1)}};
  r.height = 9, r.width = 7;
  r.seeds = std::move(seeds);
  r.rng = rng;
  r.sizes = {72, 56, 0, 0, 72, 56};
  r.on_step = [](int, double, double) {};
  r.on_image = [](int, std::vector<uint8_t>) {};
  return r;
}

LoadRequest tiny(int threads) {
  return {.path = SDXL_TEST_MODELS "/tiny-shapes.safetensors", .vae = "", .device = "cpu", .precision = "auto", .threads = threads, .progress = {}};
}

}  // namespace

TEST("model: batches and threads change no byte") {
  const CancelFlag running = false;
  std::vector<std::vector<uint8_t>> pictures;
  for (const int threads : {1, 2}) {
    Model model(tiny(threads), running);
    CHECK(model.info().family == "sdxl" && model.info().scale == 8);
    for (const Rng rng : {Rng::philox, Rng::torch_cpu}) {
      GenerateRequest both = request(2, {3, 4}, rng), second = request(2, {4}, rng);
      int steps = 0;
      both.on_step = [&](int index, double, double) { CHECK(index == steps++); };
      both.on_image = [&](int, std::vector<uint8_t> rgb) { pictures.push_back(std::move(rgb)); };
      second.on_image = both.on_image;
      model.generate(both, running);
      model.generate(second, running);
      CHECK(steps == 2);
    }
  }
  CHECK(pictures.size() == 12 && pictures[0].size() == 72 * 56 * 3);
  CHECK(pictures[1] == pictures[2] && pictures[4] == pictures[5] && pictures[0] != pictures[3]);
  for (size_t i = 0; i < 6; ++i) CHECK(pictures[i] == pictures[i + 6]);
}

TEST("model: a chunk is encoded once, whatever comes between, and to the same bytes") {
  const CancelFlag running = false;
  Model model(tiny(2), running);
  const PromptCache& cache = model.prompt_cache();
  Prompt two = prompt({320, 736}), other = prompt({1615});
  auto chunks = [](Prompt& p) -> std::vector<Chunk>& { return p.texts[0].second.chunks; };
  chunks(other).push_back(chunks(two)[1]);  // as a later chunk, where no pooled vector is asked of it
  const Conditioning first = model.encode_prompt(two, {}, running);
  const int64_t missed = cache.missed();
  const Conditioning again = model.encode_prompt(two, {}, running);
  CHECK(cache.missed() == missed && again.context == first.context && again.pooled == first.pooled);

  // Of these the last chunk is known from above; alone in a batch or not, its states are the same.
  const Conditioning mixed = model.encode_prompt(other, {}, running);
  const size_t chunk = first.context.size() / 2;
  CHECK(std::equal(first.context.begin() + long(chunk), first.context.end(), mixed.context.end() - long(chunk)));

  // Weights act behind the cache.
  chunks(two)[0].weights[1] = 1.5f;
  const Conditioning weighted = model.encode_prompt(two, {}, running);
  CHECK(weighted.context != first.context && weighted.pooled == first.pooled);
  two.clip_skip = 2;
  CHECK(model.encode_prompt(two, {}, running).context != weighted.context);
}

TEST("model: cancelled from another thread, it stops and works on") {
  const CancelFlag running = false;
  CancelFlag cancelled = false;
  Model model(tiny(2), running);
  GenerateRequest endless = request(100000, {1}, Rng::philox);
  std::atomic<int> steps = 0;
  endless.on_step = [&](int, double, double) { ++steps; };
  std::thread other([&] {
    while (steps < 2) std::this_thread::yield();
    cancelled = true;
  });
  bool stopped = false;
  try {
    model.generate(endless, cancelled);
  } catch (const Cancelled&) {
    stopped = true;
  }
  other.join();
  CHECK(stopped && steps < 100000);
  model.generate(request(1, {1}, Rng::philox), running);
}

TEST("model: a cancelled load and a budget too small leave nothing behind") {
  const CancelFlag cancelled = true, running = false;
  bool stopped = false;
  try {
    Model model(tiny(2), cancelled);
  } catch (const Cancelled&) {
    stopped = true;
  }
  CHECK(stopped);
  LoadRequest small = tiny(2);
  small.memory_budget = 1 << 20;
  CHECK(ERROR_OF(Model(small, running)).code == Code::out_of_memory);
  LoadRequest absent = tiny(1);
  absent.device = "cuda:0";
  CHECK(ERROR_OF(Model(absent, running)).code == Code::device_unavailable);
}

}  // namespace sdxl::engine
