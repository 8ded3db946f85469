// The GPUs of this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cuda/driver/cubins.h"
#include "cuda/driver/library.h"
#include "cuda/driver/management.h"

namespace sdxl::cuda {

struct Device {
  int index;
  std::string name;
  Capability capability;
  Uuid uuid;
  int64_t memory;  // bytes in all
  int multiprocessors;
  int64_t l2_bytes;
  int shared_bytes;  // most of one block

  std::string id() const;  // "cuda:N"
};

// Throws Error(device_unavailable), for an index that there is not too.
Device device(const Library& library, int index);

// What can be said of a GPU without starting anything on it.
struct DeviceReport {
  std::string id, name;
  int64_t memory = 0;                       // bytes in all; 0 where no GPU could be asked
  std::optional<int64_t> free_memory = {};  // bytes; unknown without NVIDIA's management library
  std::string reason = {};                  // why it cannot be used, or ""
  std::vector<std::string> features = {};
};

// Every GPU, or one report with the id "cuda" that says why there is none. `management` may be "" where free memory does not matter, which
// saves the start of that library. Throws nothing.
std::vector<DeviceReport> report_devices(const std::string& library = Library::default_path(), const std::string& cubins = Cubins::default_folder(),
                                         const std::string& management = Management::default_path());

}  // namespace sdxl::cuda
