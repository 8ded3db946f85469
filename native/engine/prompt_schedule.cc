#include "engine/prompt_schedule.h"

#include <algorithm>

namespace sdxl::engine {

namespace {

// Alternation comes back to the same few. The keys and values of one take 100 MB for SDXL with guidance.
constexpr size_t kKept = 3;
constexpr int kLeftOut = -2;

}  // namespace

model::UnetPrompt SparePrompts::take(int64_t batch, int64_t tokens, const std::vector<int64_t>& counts) {
  const auto fits = [&](const model::UnetPrompt& p) { return p.keys.batch == batch && p.keys.tokens == tokens && p.keys.counts == counts; };
  const auto found = std::find_if(kept_.begin(), kept_.end(), fits);
  if (found == kept_.end()) return {};
  model::UnetPrompt prompt = std::move(*found);
  kept_.erase(found);
  return prompt;
}

void SparePrompts::put(model::UnetPrompt prompt) {
  if (!prompt.recording) return;
  kept_.push_front(std::move(prompt));
  if (kept_.size() > kKept) kept_.pop_back();
}

void SparePrompts::only(const std::string& way) {
  if (way != way_) clear();
  way_ = way;
}

PromptSchedule::~PromptSchedule() {
  for (auto& [key, prompt] : recent_)
    if (spares_) spares_->put(std::move(prompt));
}

const CallItems& PromptSchedule::at(size_t call) {
  key_.clear(), items_.weights.clear(), items_.unconditional = false;
  for (const Branch& branch : branches_) {
    const double weight = branch.weights[call];
    const bool asked = weight != 0 || (branch.unconditional && always_unconditional_);
    key_.push_back(asked ? branch.prompts[call] : kLeftOut);
    if (!asked) continue;
    items_.weights.push_back(weight);
    items_.unconditional |= branch.unconditional;
  }
  const auto known = std::find_if(recent_.begin(), recent_.end(), [&](const auto& entry) { return entry.first == key_; });
  if (known != recent_.end()) recent_.splice(recent_.begin(), recent_, known);
  else {
    if (recent_.size() == kKept) {
      if (spares_) spares_->put(std::move(recent_.back().second));
      recent_.pop_back();
    }
    recent_.emplace_front(key_, prepare(key_));
  }
  items_.prompt = &recent_.front().second;
  return items_;
}

model::UnetPrompt PromptSchedule::prepare(const Key& key) const {
  const Conditioning zeros{.tokens = int64_t(Chunk::kLength), .context = {}, .pooled = {}, .warnings = {}};
  const long each = long(unet_.size_numbers());
  const bool one_set = long(sizes_.size()) == each;
  std::vector<const Conditioning*> items;
  std::vector<int64_t> counts;
  std::vector<float> sizes;
  int64_t tokens = 0;
  for (size_t b = 0; b < key.size(); ++b) {
    if (key[b] == kLeftOut) continue;
    const Conditioning& c = *items.emplace_back(key[b] < 0 ? &zeros : &conditionings_[size_t(key[b])]);
    const auto numbers = sizes_.begin() + (one_set ? 0 : long(b) * each);
    sizes.insert(sizes.end(), numbers, numbers + each);
    counts.push_back(c.tokens);
    tokens = std::max(tokens, c.tokens);
  }

  const int64_t batch = int64_t(items.size());
  ops::Backend& backend = run_.backend;
  Array context = backend.host().take({batch, tokens, unet_.context_width()}), pooled = backend.host().take({batch, unet_.pooled_width()});
  std::fill_n(context.data(), context.elements(), 0.f), std::fill_n(pooled.data(), pooled.elements(), 0.f);
  for (int64_t i = 0; i < batch; ++i) {
    const Conditioning& c = *items[size_t(i)];
    std::copy(c.context.begin(), c.context.end(), context.view().item(i).data());
    std::copy(c.pooled.begin(), c.pooled.end(), pooled.view().item(i).data());
  }
  const DType type = unet_.layers.own(run_).type;
  context = backend.to_device(std::move(context), type), pooled = backend.to_device(std::move(pooled), type);
  model::UnetPrompt former = spares_ ? spares_->take(batch, tokens, counts) : model::UnetPrompt();
  return unet_.prepare(run_, context, std::move(counts), pooled, sizes, std::move(former));
}

}  // namespace sdxl::engine
