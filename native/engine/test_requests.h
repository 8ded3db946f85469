// What tests of whole models share: the tiny model, and a request for pictures of odd size.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "engine/model.h"

namespace sdxl::engine {

inline Prompt prompt(const std::vector<int32_t>& tokens) {
  const Chunk chunk = chunk_of(tokens);
  return {.texts = {{1, {.chunks = {chunk, chunk}}}}};
}

// Euler from σ to 0 in equal steps, with noise added on the way.
inline Plan plan(int steps, double sigma) {
  Plan p{.registers = Plan::kFirstOwn, .steps_total = steps, .initial = sigma, .steps = {}};
  for (int i = 0; i < steps; ++i) {
    const double from = sigma * (steps - i) / steps, to = sigma * (steps - i - 1) / steps, ratio = to / from;
    p.steps.push_back({.index = i,
                       .calls_model = true,
                       .call = {from, 500. * (steps - i) / steps, {{1, Plan::kX}}},
                       .writes = {{Plan::kX, {{ratio, Plan::kX}, {1 - ratio, Plan::kDenoised}, {0.01 * to, -1 - i}}}}});
  }
  return p;
}

inline GenerateRequest request(int steps, std::vector<uint64_t> seeds, Rng rng) {
  GenerateRequest r;
  r.prompts = {prompt({1615}), prompt({320, 736, 7117})};
  r.plan = plan(steps, 5);
  const size_t calls = size_t(steps);
  r.branches = {{true, std::vector<int>(calls, 0), std::vector<double>(calls, -2)}, {false, std::vector<int>(calls, 1), std::vector<double>(calls, 3)}};
  r.height = 9, r.width = 7;
  r.seeds = std::move(seeds);
  r.rng = rng;
  r.sizes = {72, 56, 0, 0, 72, 56};
  r.on_step = [](int, double, double) {};
  r.on_image = [](int, std::vector<uint8_t>) {};
  return r;
}

// All that a request may ask of the loop at once: a start from latents, a soft mask, varied noise, guidance that comes and goes, rescale, and a
// plan that reads the unconditional estimate and keeps what lies outside the mask.
inline GenerateRequest everything(int steps, std::vector<uint64_t> seeds, bool projects = false) {
  GenerateRequest r = request(steps, seeds, Rng::philox);
  for (Plan::Step& step : r.plan.steps) {
    const double to = 5. * (steps - step.index - 1) / steps;
    Plan::Write& write = step.writes[0];
    write.masked = true, write.outside = {{1, Plan::kInit}, {to, Plan::kStart}};
    step.writes.push_back({Plan::kFirstOwn, {{1, Plan::kUncond}, {-1, Plan::kDenoised}}});
    step.writes.push_back({Plan::kX, {{1, Plan::kX}, {0.1 * to, Plan::kFirstOwn}}});
  }
  r.plan.registers = Plan::kFirstOwn + 1;
  for (size_t call = 0; call < size_t(steps); ++call)
    if (call % 3 == 1) r.branches[0].weights[call] = 0, r.branches[1].weights[call] = 1;
  r.variation = {{}, 0.3};
  for (const uint64_t seed : seeds) r.variation->seeds.push_back(seed + 100);
  for (size_t i = 0; i < 4 * 9 * 7; ++i) r.init.push_back(float(std::sin(double(i))));
  for (size_t i = 0; i < 9 * 7; ++i) r.mask.push_back(i < 9 ? 0 : i < 18 ? 1 : float(i) / 63);
  if (projects) r.projection = Projection{.eta = 0.3, .limit = 3, .momentum = -0.5};
  else r.rescale = 0.7;
  r.decodes = false;
  return r;
}

inline LoadRequest tiny(int threads) {
  return {.path = SDXL_TEST_MODELS "/tiny-shapes.safetensors", .vae = "", .device = "cpu", .precision = "auto", .threads = threads, .progress = {}};
}

}  // namespace sdxl::engine
