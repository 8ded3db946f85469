// The folder of compiled kernels: <file>.<architecture>.cubin, made by scripts/build-cuda.mjs, and "kernels.stamp" with the stamp of what they
// were made from.
#pragma once

#include <string>
#include <string_view>
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

  // What native/cuda/kernels held when this was built: 16 hexadecimal digits, see CMakeLists.txt. Kernels with another stamp are refused: they
  // may take other parameters.
  static std::string_view stamp();

  explicit Cubins(std::string folder = default_folder());

  // The architecture whose code a GPU of this capability runs, such as "sm_86". A cubin runs on its own capability and on later ones of the
  // same major; sm_90a's on 9.0 alone. Throws Error(device_unavailable) where there is none, saying whether kernels or the GPU are at fault, and where
  // the kernels are of other sources.
  const std::string& architecture_for(Capability capability) const;

  // Throws Error(device_unavailable) when the file is not there, or the folder has other kernels by now.
  std::vector<char> read(const std::string& file, const std::string& architecture) const;

 private:
  void check_stamp() const;

  std::string folder_;
  std::vector<std::string> architectures_;  // in the folder, sorted
};

}  // namespace sdxl::cuda
