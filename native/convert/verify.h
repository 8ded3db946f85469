// Reads every byte of a model's files: are they whole, and do they hold numbers?
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

namespace sdxl::convert {

struct VerifyRequest {
  std::string path;
  std::string sha256;  // that it should have, lower case; "": any
  std::function<void(const std::string& phase, int64_t done, int64_t total)> progress = {};
};

struct Verification {
  std::string sha256;  // of the file; of a folder that of its list of sums, see sums.h
  std::vector<std::string> problems;
};

// A safetensors file of any kind, or a folder with all files in it. Throws Error(model_not_found), Cancelled.
Verification verify(const VerifyRequest& request, const std::atomic<bool>& cancelled);

}  // namespace sdxl::convert
