// Which prompts condition which model call, and how much each counts.
#pragma once

#include <list>
#include <utility>
#include <vector>

#include "engine/prompt.h"
#include "model/unet.h"

namespace sdxl::engine {

// A part of every prediction, whose prompt and weight may change from call to call: a call's prediction is the sum of all branches'
// predictions times their weights. Classifier-free guidance (Ho & Salimans 2022) has two, the unconditional one with the weight 1 − guidance.
struct Branch {
  bool unconditional;
  std::vector<int> prompts;  // per model call: an index; −1: all zeros
  std::vector<double> weights;
};

// What the network is asked in one call: one item for each branch that counts in it.
struct CallItems {
  const model::UnetPrompt* prompt;
  std::vector<double> weights;
  bool unconditional;  // the first item is
};

class PromptSchedule {
 public:
  // `conditionings`: by index; `sizes`: numbers of UnetPrompt, one set for all branches or one for each. What is passed has to outlive the object.
  // `always_unconditional`: that branch is asked where its weight is 0 too.
  PromptSchedule(const model::Run& run, const model::Unet& unet, const std::vector<Conditioning>& conditionings, const std::vector<Branch>& branches,
                 const std::vector<float>& sizes, bool always_unconditional)
      : run_(run), unet_(unet), conditionings_(conditionings), branches_(branches), sizes_(sizes), always_unconditional_(always_unconditional) {}

  // Valid until the next call.
  const CallItems& at(size_t call);

 private:
  using Key = std::vector<int>;  // the prompt of each branch, or kLeftOut
  model::UnetPrompt prepare(const Key& key) const;

  const model::Run& run_;
  const model::Unet& unet_;
  const std::vector<Conditioning>& conditionings_;
  const std::vector<Branch>& branches_;
  const std::vector<float>& sizes_;
  bool always_unconditional_;
  CallItems items_ = {};
  Key key_;
  std::list<std::pair<Key, model::UnetPrompt>> recent_;  // most recently used first
};

}  // namespace sdxl::engine
