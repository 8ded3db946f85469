// NVIDIA's driver library, found when the program runs.
#pragma once

#include <string>

#include "core/error.h"
#include "cuda/driver/functions.h"

namespace sdxl::cuda {

class Library {
 public:
  static const char* default_path();  // what the system's loader finds: libcuda.so.1

  // Throws Error(device_unavailable) that says what is missing and what to do: no driver, one too old, no GPU.
  explicit Library(const std::string& path = default_path());
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const Functions& functions() const { return functions_; }
  int version() const { return version_; }  // of CUDA, as 1000 · major + 10 · minor
  int device_count() const { return device_count_; }

  // "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"
  std::string text(Result result) const;

 private:
  Functions functions_{};
  int version_ = 0, device_count_ = 0;
};

// Kernels are made by CUDA 12, whose code runs on drivers of CUDA 12.0 on.
constexpr int kOldestVersion = 12000;

// "12.4"
std::string version_text(int version);

}  // namespace sdxl::cuda
