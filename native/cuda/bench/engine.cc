#include "cuda/bench/engine.h"

#include <chrono>
#include <cmath>

#include "core/cpu_count.h"
#include "cuda/backend/backend.h"

namespace sdxl::cuda::bench {

engine::Device open_gpu(const Options& options) {
  return {.backend = make_backend({.device = options.device, .threads = usable_cpus(), .library = options.library, .cubins = options.cubins}),
          .id = "cuda:" + std::to_string(options.device),
          .reason = "asked for",
          .narrow = true};
}

engine::LoadRequest load_request(const std::string& path, const std::string& device, const std::string& precision) {
  return {.path = path, .vae = "", .device = device, .precision = precision, .progress = {}};
}

engine::Prompt prompt_of(int number) {
  constexpr int32_t kWords = 20;
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < kWords; ++i) tokens.push_back(300 + (number * kWords + i) * 37 % 49000);
  return {.texts = {{1, {.chunks = {engine::chunk_of(tokens)}}}}};
}

engine::GenerateRequest request_of(const Pictures& pictures) {
  using engine::Plan;
  constexpr double kFrom = 14.6, kTo = 0.03;  // SDXL's own range
  const int steps = pictures.steps;
  engine::GenerateRequest r;
  r.plan = {.registers = Plan::kFirstOwn, .steps_total = steps, .initial = kFrom, .steps = {}};
  for (int i = 0; i < steps; ++i) {
    const auto sigma = [&](int step) { return step == steps ? 0 : kFrom * std::pow(kTo / kFrom, double(step) / std::max(steps - 1, 1)); };
    const double ratio = sigma(i + 1) / sigma(i);
    r.plan.steps.push_back({.index = i,
                            .calls_model = true,
                            .call = {sigma(i), 999. * (steps - i) / steps, {{1, Plan::kX}}},
                            .writes = {{Plan::kX, {{ratio, Plan::kX}, {1 - ratio, Plan::kDenoised}}}}});
  }
  const auto all = [&](auto value) { return std::vector<decltype(value)>(size_t(steps), value); };
  if (pictures.guided) {
    r.prompts = {prompt_of(0), prompt_of(pictures.prompt)};
    r.branches = {{true, all(0), all(-4.)}, {false, all(1), all(5.)}};
  } else {
    r.prompts = {prompt_of(pictures.prompt)};
    r.branches = {{false, all(0), all(1.)}};
  }
  r.height = pictures.height, r.width = pictures.width;
  for (int i = 0; i < pictures.count; ++i) r.seeds.push_back(uint64_t(i) + 1);
  const float height = float(8 * r.height), width = float(8 * r.width);
  r.sizes = {height, width, 0, 0, height, width};
  r.on_step = [](int, double, double) {};
  r.on_image = [](int, std::vector<uint8_t>) {};
  return r;
}

double seconds_since_1970() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace sdxl::cuda::bench
