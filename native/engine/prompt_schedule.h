// Which prompts condition which model call, and how much each counts.
#pragma once

#include <list>
#include <string>
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
  model::UnetPrompt* prompt;
  std::vector<double> weights;
  bool unconditional;  // the first item is
};

// Prompts of earlier runs that a device has recorded calls with, for the next run that asks the network the same way.
class SparePrompts {
 public:
  // One of that size, or an empty one.
  model::UnetPrompt take(int64_t batch, int64_t tokens, const std::vector<int64_t>& counts);
  // Keeps it if something is recorded, in place of the oldest where there are many.
  void put(model::UnetPrompt prompt);
  void clear() { kept_.clear(); }
  // `way`: all that recorded work depends on beside tensors. Forgets what was recorded another way.
  void only(const std::string& way);

 private:
  std::list<model::UnetPrompt> kept_;  // the newest first
  std::string way_;
};

class PromptSchedule {
 public:
  // `conditionings`: by index; `sizes`: numbers of UnetPrompt, one set for all branches or one for each. What is passed has to outlive the object.
  // `always_unconditional`: that branch is asked where its weight is 0 too. `spares`: where prompts come from and go to, or null.
  PromptSchedule(const model::Run& run, const model::Unet& unet, const std::vector<Conditioning>& conditionings, const std::vector<Branch>& branches,
                 const std::vector<float>& sizes, bool always_unconditional, SparePrompts* spares)
      : run_(run),
        unet_(unet),
        conditionings_(conditionings),
        branches_(branches),
        sizes_(sizes),
        always_unconditional_(always_unconditional),
        spares_(spares) {}
  ~PromptSchedule();
  PromptSchedule(const PromptSchedule&) = delete;
  PromptSchedule& operator=(const PromptSchedule&) = delete;

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
  SparePrompts* spares_;
  CallItems items_ = {};
  Key key_;
  std::list<std::pair<Key, model::UnetPrompt>> recent_;  // most recently used first
};

}  // namespace sdxl::engine
