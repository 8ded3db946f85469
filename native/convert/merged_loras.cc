#include "convert/merged_loras.h"

#include <algorithm>

#include "convert/known_hash.h"
#include "weights/lora/apply.h"

namespace sdxl::convert {

MergedLoras::MergedLoras(const weights::Checkpoint& checkpoint, const std::vector<lora::LoraUse>& loras) {
  if (loras.empty()) return;
  const lora::Targets targets(checkpoint.components());
  std::vector<lora::LoraUse> sorted = loras;
  std::sort(sorted.begin(), sorted.end());
  files_.reserve(sorted.size());  // deltas are pointed to
  for (const lora::LoraUse& use : sorted) {
    const lora::LoraFile& file = files_.emplace_back(lora::read_lora(use.path, targets));
    if (!file.unmatched.empty()) remarks_.push_back(lora::unmatched_text(file));
    for (const lora::LoraDelta& delta : file.deltas) {
      const float strength = use.strength(delta.component);
      for (const weights::Component* component : checkpoint.components()) {
        const auto tensor = component->name == delta.component ? component->tensors.find(delta.parameter) : component->tensors.end();
        if (tensor != component->tensors.end() && strength != 0) changes_[&tensor->second].emplace_back(&delta, strength);
      }
    }
  }
}

void MergedLoras::apply(const weights::SourceTensor& tensor, std::vector<float>& values) const {
  const std::vector<float> base = values;
  for (const auto& [delta, strength] : changes_.at(&tensor)) lora::add_delta(*delta, strength, base.data(), values.data());
}

std::string MergedLoras::mark(const std::vector<lora::LoraUse>& loras, Job& job) {
  std::vector<std::string> marks;
  Job reading{job.cancelled, {}};  // not a part of the bytes to be written
  for (const lora::LoraUse& use : loras)
    marks.push_back(" lora " + hash_of(use.path, reading, "loras") + ' ' + lora::key_of(use.unet) + ' ' + lora::key_of(use.text_encoder));
  std::sort(marks.begin(), marks.end());
  std::string all;
  for (const std::string& mark : marks) all += mark;
  return all;
}

}  // namespace sdxl::convert
