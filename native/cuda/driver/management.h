// NVIDIA's management library, NVML, which comes with the driver. It knows how much memory of a GPU is free; the driver itself tells only
// those who have a context there, which takes time and memory of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cuda/driver/functions.h"

namespace sdxl::cuda {

class Management {
 public:
  static const char* default_path();  // libnvidia-ml.so.1

  // Where the library is missing or does not start, and for "", nothing is known. Throws nothing.
  explicit Management(const std::string& path = default_path());
  ~Management();
  Management(const Management&) = delete;
  Management& operator=(const Management&) = delete;

  // Bytes, of a GPU or of a partition of one (MIG).
  std::optional<int64_t> free_memory(const Uuid& gpu) const;

 private:
  // nvml.h; every function returns 0 when it has succeeded
  struct Memory {
    unsigned long long total, free, used;
  };
  int (*shutdown_)() = nullptr;  // set when the library was started
  int (*handle_of_)(const char* uuid, void** handle) = nullptr;
  int (*memory_of_)(void* handle, Memory*) = nullptr;
};

}  // namespace sdxl::cuda
