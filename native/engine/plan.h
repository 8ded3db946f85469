// A sampling plan as the engine executes it: the numbers of lib/sampling's SamplingPlan with registers counted instead of named.
#pragma once

#include <vector>

namespace sdxl::engine {

struct Plan {
  // Registers every plan has. kUncond: the last call's unconditional estimate; kInit: the clean latents that a run starts from, where there
  // are any; kStart: its unit-normal start noise. Steps write kX and those behind kStart.
  static constexpr int kX = 0, kDenoised = 1, kUncond = 2, kInit = 3, kStart = 4, kFirstOwn = 5;

  struct Term {
    double coefficient;
    int reg;  // ≥ 0: a register; −1 − k: the k-th draw of unit-normal noise
  };
  struct Call {
    double sigma, timestep;
    std::vector<Term> input;  // x₀ + σ·noise
  };
  struct Write {
    int reg;
    std::vector<Term> terms;
    bool masked = false;  // register ← mask · Σ terms + (1 − mask) · Σ outside
    std::vector<Term> outside = {};
  };
  struct Step {
    int index;  // the user's step, from 0
    bool calls_model;
    Call call;
    std::vector<Write> writes;
  };

  bool reads(int reg) const;
  bool masks() const;  // some write is masked
  int calls() const;

  int registers = kFirstOwn;
  int steps_total = 0;  // the user's steps
  double initial = 0;   // what the start noise is multiplied with
  std::vector<Step> steps;
};

}  // namespace sdxl::engine
