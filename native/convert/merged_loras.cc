#include "convert/merged_loras.h"

#include <algorithm>
#include <array>

#include "convert/known_hash.h"
#include "weights/lora/apply.h"

namespace sdxl::convert {

MergedLoras::MergedLoras(const weights::Checkpoint& checkpoint, const std::vector<MergedLora>& loras) {
  const std::array<const weights::Component*, 3> components{&checkpoint.unet, &checkpoint.text_encoder, &checkpoint.text_encoder_2};
  if (loras.empty()) return;
  const lora::Targets targets(components);
  // In one order, so that the same LoRAs give the same bytes.
  std::vector<MergedLora> sorted = loras;
  std::sort(sorted.begin(), sorted.end(),
            [](const MergedLora& a, const MergedLora& b) { return std::tie(a.path, a.unet, a.text_encoder) < std::tie(b.path, b.unet, b.text_encoder); });
  files_.reserve(sorted.size());  // deltas are pointed to
  for (const MergedLora& lora : sorted) {
    const lora::LoraFile& file = files_.emplace_back(lora::read_lora(lora.path, targets));
    if (!file.unmatched.empty()) remarks_.push_back(lora::unmatched_text(file));
    for (const lora::LoraDelta& delta : file.deltas) {
      const float strength = delta.component == "unet" ? lora.unet : lora.text_encoder;
      for (const weights::Component* component : components) {
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

std::string MergedLoras::mark(const std::vector<MergedLora>& loras, Job& job) {
  std::vector<std::string> marks;
  Job reading{job.cancelled, {}};  // not a part of the bytes to be written
  for (const MergedLora& lora : loras)
    marks.push_back(" lora " + hash_of(lora.path, reading, "loras") + ' ' + std::to_string(lora.unet) + ' ' + std::to_string(lora.text_encoder));
  std::sort(marks.begin(), marks.end());
  std::string all;
  for (const std::string& mark : marks) all += mark;
  return all;
}

}  // namespace sdxl::convert
