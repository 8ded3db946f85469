// LoRAs that are merged into the weights on their way into a file.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "convert/job.h"
#include "weights/checkpoint.h"
#include "weights/lora/lora_file.h"
#include "weights/lora/lora_use.h"

namespace sdxl::convert {

class MergedLoras {
 public:
  // Throws what lora::read_lora throws.
  MergedLoras(const weights::Checkpoint& checkpoint, const std::vector<lora::LoraUse>& loras);

  bool changes(const weights::SourceTensor& tensor) const { return changes_.count(&tensor) > 0; }
  // values [out, in …], as the layer means them
  void apply(const weights::SourceTensor& tensor, std::vector<float>& values) const;

  // On tensors that change nothing in the checkpoint.
  const std::vector<std::string>& remarks() const { return remarks_; }

  // Tells these LoRAs with these strengths from any others; reads the files.
  static std::string mark(const std::vector<lora::LoraUse>& loras, Job& job);

 private:
  std::vector<lora::LoraFile> files_;
  std::vector<std::string> remarks_;
  std::map<const weights::SourceTensor*, std::vector<std::pair<const lora::LoraDelta*, float>>> changes_;
};

}  // namespace sdxl::convert
