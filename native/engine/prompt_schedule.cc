#include "engine/prompt_schedule.h"

#include <algorithm>

namespace sdxl::engine {

namespace {

// Alternation comes back to the same few. The keys and values of one take 100 MB for SDXL with guidance.
constexpr size_t kKept = 3;

}  // namespace

const model::UnetPrompt& PromptSchedule::at(size_t call) {
  Key key;
  for (const Branch& branch : branches_) key.push_back(branch.prompts[call]);
  const auto known = std::find_if(recent_.begin(), recent_.end(), [&](const auto& entry) { return entry.first == key; });
  if (known != recent_.end()) recent_.splice(recent_.begin(), recent_, known);
  else {
    if (recent_.size() == kKept) recent_.pop_back();
    model::UnetPrompt prompt = prepare(key);
    recent_.emplace_front(std::move(key), std::move(prompt));
  }
  return recent_.front().second;
}

model::UnetPrompt PromptSchedule::prepare(const Key& key) const {
  const Conditioning zeros{.tokens = int64_t(Chunk::kLength), .context = {}, .pooled = {}, .warnings = {}};
  std::vector<const Conditioning*> items;
  for (const int index : key) items.push_back(index < 0 ? &zeros : &conditionings_[size_t(index)]);

  int64_t tokens = 0;
  for (const Conditioning* c : items) tokens = std::max(tokens, c->tokens);
  const int64_t batch = int64_t(items.size());
  Array context = run_.take({batch, tokens, unet_.context_width()}), pooled = run_.take({batch, unet_.pooled_width()});
  std::fill_n(context.data(), context.elements(), 0.f), std::fill_n(pooled.data(), pooled.elements(), 0.f);
  std::vector<int64_t> counts;
  std::vector<float> sizes;
  for (int64_t i = 0; i < batch; ++i) {
    const Conditioning& c = *items[size_t(i)];
    std::copy(c.context.begin(), c.context.end(), context.view().item(i).data());
    std::copy(c.pooled.begin(), c.pooled.end(), pooled.view().item(i).data());
    counts.push_back(c.tokens);
    sizes.insert(sizes.end(), sizes_.begin(), sizes_.end());
  }
  return unet_.prepare(run_, context, std::move(counts), pooled, sizes);
}

}  // namespace sdxl::engine
