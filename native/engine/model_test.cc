// The engine without Node, on the tiny model: what the sanitizers watch. Numbers are checked against Diffusers in test/model.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "engine/test_requests.h"
#include "test/check.h"

namespace sdxl::engine {

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

TEST("model: a request with everything gives the same bytes in batches and on threads, and keeps what is masked") {
  const CancelFlag running = false;
  std::vector<std::vector<float>> found;
  for (const int threads : {1, 2}) {
    Model model(tiny(threads), running);
    for (const bool projects : {false, true})
      for (const std::vector<uint64_t>& seeds : {std::vector<uint64_t>{3, 4}, {4}}) {
        const GenerateRequest r = everything(4, seeds, projects);
        found.push_back(model.generate(r, running).latents);
        const std::vector<float>& latents = found.back();
        CHECK(latents.size() == seeds.size() * r.init.size());
        bool kept = true, drawn = false;
        for (size_t i = 0; i < latents.size(); ++i) {
          const float mask = r.mask[i % 63], init = r.init[i % r.init.size()];
          CHECK(std::isfinite(latents[i]));
          if (mask == 0) kept &= latents[i] == init;
          if (mask == 1) drawn |= std::abs(latents[i] - init) > 0.1f;
        }
        CHECK(kept && drawn);
      }
  }
  for (const size_t i : {0, 2}) {
    const std::vector<float>&both = found[i], &second = found[i + 1];
    CHECK(std::equal(second.begin(), second.end(), both.begin() + long(second.size())));
    CHECK(both == found[i + 4] && second == found[i + 5]);
  }
  CHECK(found[0] != found[2]);
}

TEST("model: later rounds of the loop hold no more than the first ones") {
  const CancelFlag running = false;
  Model model(tiny(2), running);
  GenerateRequest request = everything(30, {1, 2});
  int64_t early = 0;
  request.on_step = [&](int index, double, double) {
    if (index == 2) early = model.peak_bytes();
  };
  model.generate(request, running);
  CHECK(early > 0 && model.peak_bytes() == early);
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
