// A sampling plan as the engine executes it: the numbers of lib/sampling's SamplingPlan with registers counted instead of named.
#pragma once

#include <vector>

namespace sdxl::engine {

struct Plan {
  static constexpr int kX = 0, kDenoised = 1;  // registers every plan has

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
  };
  struct Step {
    int index;  // the user's step, from 0
    bool calls_model;
    Call call;
    std::vector<Write> writes;
  };

  int registers = 2;
  int steps_total = 0;  // the user's steps
  double initial = 0;   // what the start noise is multiplied with
  std::vector<Step> steps;
};

}  // namespace sdxl::engine
