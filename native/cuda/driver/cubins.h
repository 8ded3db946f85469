// The folder of compiled kernels: <file>.<architecture>.cubin, made by scripts/build-cuda.mjs.
#pragma once

#include <string>
#include <vector>

namespace sdxl::cuda {

struct Capability {
  int major, minor;
  std::string text() const { return std::to_string(major) + "." + std::to_string(minor); }
};

class Cubins {
 public:
  // What NODE_SDXL_CUDA_KERNELS names, else "cuda" beside the addon, or beside the program that this is part of.
  static std::string default_folder();

  explicit Cubins(std::string folder = default_folder());

  // The architecture whose code a GPU of this capability runs, such as "sm_86". A cubin runs on its own capability and on later ones of the
  // same major; sm_90a's on 9.0 alone. Throws Error(device_unavailable) where there is none, saying whether kernels or the GPU are at fault.
  const std::string& architecture_for(Capability capability) const;

  // Throws Error(device_unavailable) when the file is not there.
  std::vector<char> read(const std::string& file, const std::string& architecture) const;

 private:
  std::string folder_;
  std::vector<std::string> architectures_;  // in the folder, sorted
};

}  // namespace sdxl::cuda
