// Which prompts condition which model call.
#pragma once

#include <list>
#include <utility>
#include <vector>

#include "engine/prompt.h"
#include "model/unet.h"

namespace sdxl::engine {

// A prompt that may change from call to call. A call's prediction is the sum of all branches' predictions times their weights.
struct Branch {
  double weight;
  std::vector<int> prompts;  // per model call: an index; −1: all zeros
};

class PromptSchedule {
 public:
  // `conditionings`: by index; sizes: those of UnetPrompt, the same for all. What is passed has to outlive the object.
  PromptSchedule(const model::Run& run, const model::Unet& unet, const std::vector<Conditioning>& conditionings, const std::vector<Branch>& branches,
                 const std::vector<float>& sizes)
      : run_(run), unet_(unet), conditionings_(conditionings), branches_(branches), sizes_(sizes) {}

  // One item for each branch. Valid until the next call.
  const model::UnetPrompt& at(size_t call);

 private:
  using Key = std::vector<int>;  // the prompt of each branch
  model::UnetPrompt prepare(const Key& key) const;

  const model::Run& run_;
  const model::Unet& unet_;
  const std::vector<Conditioning>& conditionings_;
  const std::vector<Branch>& branches_;
  const std::vector<float>& sizes_;
  std::list<std::pair<Key, model::UnetPrompt>> recent_;  // most recently used first
};

}  // namespace sdxl::engine
