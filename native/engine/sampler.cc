#include "engine/sampler.h"

#include <cmath>

namespace sdxl::engine {

namespace {

using Terms = std::vector<Plan::Term>;

class Execution {
 public:
  Execution(const model::Run& run, const Sampling& sampling)
      : run_(run), s_(sampling), registers_(size_t(sampling.plan.registers)), reads_uncond_(sampling.plan.reads(Plan::kUncond)) {
    terms_.push_back({sampling.plan.initial, sampling.start});
    if (sampling.init) terms_.push_back({1, sampling.init});
    combine(Plan::kX);
  }

  ConstTensor denoised() const { return registers_[Plan::kDenoised]; }
  Array result() { return std::move(registers_[Plan::kX]); }

  void step(const Plan::Step& step) {
    if (step.calls_model) call(step.call);
    for (const Plan::Write& w : step.writes) write(w);
    drawn_.clear();
  }

 private:
  struct Resolved {
    double coefficient;
    ConstTensor x;
  };

  ConstTensor read(int reg) {
    if (reg < 0) return noise(-1 - reg);
    if (reg == Plan::kInit) return s_.init;
    if (reg == Plan::kStart) return s_.start;
    if (reg == Plan::kUncond && uncond_is_denoised_) reg = Plan::kDenoised;
    return registers_[size_t(reg)];
  }

  // Registers and noises by their numbers become terms_, which what sums them up leaves empty.
  void resolve(const Terms& terms, double factor = 1) {
    for (const Plan::Term& term : terms) terms_.push_back({factor * term.coefficient, read(term.reg)});
  }

  // The generator's draw 0 was the start noise.
  ConstTensor noise(int k) {
    for (const auto& [index, values] : drawn_)
      if (index == k) return values;
    return drawn_.emplace_back(k, s_.noise.draw(uint64_t(k) + 1)).second;
  }

  void sum_into(Tensor y) {
    op_.y = y;
    for (const Resolved& t : terms_) op_.terms.push_back({float(t.coefficient), t.x});
    run_.backend.run(op_);
    terms_.clear(), op_.terms.clear();
  }

  Tensor target(int reg) {
    Array& array = registers_[size_t(reg)];
    if (!array) array = run_.take(s_.start.shape());
    return array;
  }

  void combine(int reg) { sum_into(target(reg)); }

  void write(const Plan::Write& write) {
    resolve(write.terms);
    if (!write.masked) return combine(write.reg);
    const Array inside = run_.take(s_.start.shape()), outside = run_.take(s_.start.shape());
    sum_into(inside);
    resolve(write.outside);
    sum_into(outside);
    run_.backend.run(ops::Blend{.mask = s_.mask, .a = inside, .b = outside, .y = target(write.reg)});
  }

  // What the network reads, once for each item.
  void fill_input(const Plan::Call& call, const model::Unet& unet, model::UnetPrompt& prompt, int64_t items) {
    const auto [images, height, width, channels] = s_.start.dims<4>();
    const int64_t reads = unet.in_channels();
    const Tensor x = unet.input(run_, prompt, items * images, height, width);
    // Karras et al. 2022, table 1, "VP" with the network's own scaling: x / √(σ² + 1).
    const double factor = 1 / std::sqrt(call.sigma * call.sigma + 1);
    Array scaled;
    if (reads > channels) {
      scaled = run_.take(s_.start.shape());
      resolve(call.input, factor);
      sum_into(scaled);
    }
    for (int64_t i = 0; i < items; ++i) {
      const Tensor item = x.item(i * images, images);
      if (scaled) {
        const int64_t pixels = images * height * width, beside = reads - channels;
        run_.backend.run(ops::Concat{scaled.as({pixels, channels}), s_.extra.as({pixels, beside}), item.as({pixels, reads})});
      } else {
        resolve(call.input, factor);
        sum_into(item);
      }
    }
  }

  // A network embeds the times of all calls at once, when it is first asked.
  ConstTensor time_of(int64_t call, const model::Unet& unet) {
    if (timed_ != &unet) {
      std::vector<float> timesteps;
      for (const Plan::Step& step : s_.plan.steps)
        if (step.calls_model) timesteps.push_back(float(step.call.timestep));
      times_ = unet.embed_times(run_, timesteps);
      timed_ = &unet;
    }
    return times_.view().item(call);
  }

  // What a call predicted; estimates of the clean latents are keep · input + use · prediction.
  struct Predicted {
    const Plan::Call& call;
    const CallItems& items;
    ConstTensor all;  // [items · images, height, width, channels]
    double keep, use;

    int64_t count() const { return int64_t(items.weights.size()); }
    double weight(int64_t i) const { return items.weights[size_t(i)]; }
    ConstTensor item(int64_t i) const {
      const int64_t images = all.shape()[0] / count();
      return all.item(i * images, images);
    }
  };

  void call(const Plan::Call& call) {
    const int64_t call_number = calls_++;
    const NetworkCall network = s_.network(size_t(call_number));
    const Shape& one = s_.start.shape();
    const double variance = call.sigma * call.sigma + 1;
    const bool v = network.prediction == Prediction::v;
    Predicted p{.call = call, .items = *network.items, .all = {}, .keep = v ? 1 / variance : 1, .use = v ? -call.sigma / std::sqrt(variance) : -call.sigma};
    fill_input(call, *network.unet, *p.items.prompt, p.count());
    p.all = network.unet->predict(run_, time_of(call_number, *network.unet), *p.items.prompt);

    Array uncond;  // the register keeps the last call's until this one has read its input
    if (reads_uncond_ && p.items.unconditional) {
      uncond = run_.take(one);
      resolve(call.input, p.keep);
      terms_.push_back({p.use, p.item(0)});
      sum_into(uncond);
    }
    guide(p);
    uncond_is_denoised_ = !uncond;
    if (uncond) registers_[Plan::kUncond] = std::move(uncond);
  }

  // The register 'denoised'.
  void guide(const Predicted& p) {
    // What the prompt alone predicts, of several the mean by their weights, is the measure for what guidance makes of it.
    double total = 0;
    for (int64_t i = 1; i < p.count(); ++i) total += p.weight(i);
    const auto add_conditional = [&](double factor) {
      for (int64_t i = 1; i < p.count(); ++i) terms_.push_back({factor * p.weight(i) / total, p.item(i)});
    };
    const bool shapes = p.items.unconditional && total > 0 && (s_.projection || s_.rescale != 0);
    if (!shapes) {
      resolve(p.call.input, p.keep);
      for (int64_t i = 0; i < p.count(); ++i) terms_.push_back({p.use * p.weight(i), p.item(i)});
      return combine(Plan::kDenoised);
    }

    const Array conditional = run_.take(s_.start.shape()), guided = run_.take(s_.start.shape());
    if (s_.projection) {
      resolve(p.call.input, p.keep);
      add_conditional(p.use);
      sum_into(conditional);
      add_conditional(p.use);
      terms_.push_back({-p.use, p.item(0)});
      sum_into(guided);
      project(p.call.sigma, conditional, guided);
      terms_.push_back({1, conditional});
      terms_.push_back({total - 1, guided});
    } else {
      add_conditional(1);
      sum_into(conditional);
      for (int64_t i = 0; i < p.count(); ++i) terms_.push_back({p.weight(i), p.item(i)});
      sum_into(guided);
      run_.backend.run(ops::Rescale{.like = conditional, .share = float(s_.rescale), .y = guided});
      resolve(p.call.input, p.keep);
      terms_.push_back({p.use, guided});
    }
    combine(Plan::kDenoised);
  }

  // difference: what guidance adds to the conditional estimate, for each unit of its scale. In place.
  void project(double sigma, ConstTensor conditional, Tensor difference) {
    const Projection& p = *s_.projection;
    if (p.momentum != 0) {
      if (sigma > projected_at_) average_ = Array();  // a run that goes back up begins anew
      projected_at_ = sigma;
      const bool first = !average_;
      if (first) average_ = run_.take(difference.shape());
      terms_.push_back({1, difference});
      if (!first) terms_.push_back({p.momentum, average_});
      sum_into(average_);
      terms_.push_back({1, average_});
      sum_into(difference);
    }
    run_.backend.run(ops::Project{.along = conditional, .share = float(p.eta), .limit = float(p.limit), .y = difference});
  }

  const model::Run& run_;
  const Sampling& s_;
  std::vector<Array> registers_;
  bool reads_uncond_, uncond_is_denoised_ = true;
  Array average_;  // of what guidance added so far, for momentum
  double projected_at_ = 0;
  int64_t calls_ = 0;
  const model::Unet* timed_ = nullptr;  // whose times_ these are
  Array times_;                         // [calls, embedding]
  std::vector<Resolved> terms_;
  ops::Combine op_;
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
    if (!last_part) continue;
    run.backend.pace();
    if (sampling.on_step) sampling.on_step(steps[i].index, sigma, execution.denoised());
  }
  return execution.result();
}

}  // namespace sdxl::engine
