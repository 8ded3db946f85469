// From one layout of a model's files to the other, or from one number format to another.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "convert/layout.h"
#include "convert/merged_loras.h"

namespace sdxl::convert {

struct ConvertRequest {
  std::string from, to;  // absolute
  bool folder = false;   // the target is a Diffusers folder
  TargetType dtype = {};
  bool overwrite = false;
  std::vector<lora::LoraUse> loras = {};
  std::string merges;  // lib/prompt/data/clip-merges.txt
  std::function<void(const std::string& phase, int64_t done, int64_t total)> progress = {};
};

struct ConvertResult {
  int64_t tensors = 0;
  int64_t bytes = 0;                      // of the file, or of all files of the folder
  std::string sha256;                     // of the file, or of the folder's SHA256SUMS
  std::vector<std::string> remarks = {};  // on LoRAs
};

// A target that was made of the same source by the same options is left alone, and nothing is written. Throws what open_checkpoint throws;
// Error(model_format) for a model that is incomplete or holds what no model holds; Error(model_unsupported) for one that the target layout
// cannot express; Error(invalid_argument) for a target that is something else, lies around the source or does not fit on the disk;
// Cancelled. Whatever it throws, nothing of the target is left, and what was there before still is.
ConvertResult convert(const ConvertRequest& request, const std::atomic<bool>& cancelled);

}  // namespace sdxl::convert
