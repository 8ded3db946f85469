#include "engine/sampler.h"

#include <cmath>

namespace sdxl::engine {

namespace {

using Terms = std::vector<Plan::Term>;

class Execution {
 public:
  Execution(const model::Run& run, const Sampling& sampling) : run_(run), s_(sampling), registers_(size_t(sampling.plan.registers)) {
    combine(Plan::kX, {{sampling.plan.initial, sampling.start}});
  }

  Array result() { return std::move(registers_[Plan::kX]); }

  void step(const Plan::Step& step) {
    if (step.calls_model) call(step.call);
    for (const Plan::Write& write : step.writes) combine(write.reg, resolve(write.terms, 1));
    drawn_.clear();
  }

 private:
  struct Resolved {
    double coefficient;
    ConstTensor x;
  };

  // Registers and noises by their numbers become tensors.
  std::vector<Resolved> resolve(const Terms& terms, double factor) {
    std::vector<Resolved> resolved;
    for (const Plan::Term& term : terms)
      resolved.push_back({factor * term.coefficient, term.reg >= 0 ? ConstTensor(registers_[size_t(term.reg)]) : noise(-1 - term.reg)});
    return resolved;
  }

  // The generator's draw 0 was the start noise.
  ConstTensor noise(int k) {
    for (const auto& [index, values] : drawn_)
      if (index == k) return values;
    return drawn_.emplace_back(k, s_.noise.draw(run_.backend.arena(), uint64_t(k) + 1)).second;
  }

  void combine_into(Tensor y, const std::vector<Resolved>& terms) {
    ops::Combine op{.terms = {}, .y = y};
    for (const Resolved& t : terms) op.terms.push_back({float(t.coefficient), t.x});
    run_.backend.run(op);
  }

  void combine(int reg, const std::vector<Resolved>& terms) {
    Array& target = registers_[size_t(reg)];
    if (!target) target = run_.take(s_.start.shape());
    combine_into(target, terms);
  }

  // Karras et al. 2022, table 1, "VP" with the network's own scaling: it reads x / √(σ² + 1).
  void call(const Plan::Call& call) {
    const double variance = call.sigma * call.sigma + 1, root = std::sqrt(variance);
    const int64_t images = s_.start.shape()[0], groups = int64_t(s_.weights.size());
    const Shape& one = s_.start.shape();
    const Shape all{groups * images, one[1], one[2], one[3]};

    Array x = run_.take(all), predicted = run_.take(all);
    for (int64_t g = 0; g < groups; ++g) combine_into(x.view().item(g * images, images), resolve(call.input, 1 / root));
    s_.unet.predict(run_, x, float(call.timestep), s_.prompt(calls_++), predicted);

    // denoised = keep · input + use · prediction
    const bool v = s_.prediction == Prediction::v;
    const double keep = v ? 1 / variance : 1, use = v ? -call.sigma / root : -call.sigma;
    std::vector<Resolved> denoised = resolve(call.input, keep);
    for (int64_t g = 0; g < groups; ++g) denoised.push_back({use * s_.weights[size_t(g)], predicted.view().item(g * images, images)});
    combine(Plan::kDenoised, denoised);
  }

  const model::Run& run_;
  const Sampling& s_;
  std::vector<Array> registers_;
  size_t calls_ = 0;
  std::vector<std::pair<int, Array>> drawn_;  // noises of the current step
};

}  // namespace

Array sample(const model::Run& run, const Sampling& sampling) {
  Execution execution(run, sampling);
  const auto& steps = sampling.plan.steps;
  double sigma = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    execution.step(steps[i]);
    if (steps[i].calls_model) sigma = steps[i].call.sigma;
    const bool last_part = i + 1 == steps.size() || steps[i + 1].index != steps[i].index;
    if (last_part && sampling.on_step) sampling.on_step(steps[i].index, sigma);
  }
  return execution.result();
}

}  // namespace sdxl::engine
