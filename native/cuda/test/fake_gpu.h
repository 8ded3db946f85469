// What the tests of the driver layer share: the fake libcuda, and a folder of fake cubins.
#pragma once

#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cuda/driver/cubins.h"
#include "cuda/driver/library.h"
#include "cuda/fake/fake_cuda.h"

namespace sdxl::test {

// The fake driver as if just loaded.
inline cuda::FakeCuda& fake_cuda() {
  static void* const library = dlopen(SDXL_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  cuda::FakeCuda& fake = *reinterpret_cast<cuda::FakeCudaFunction>(dlsym(library, cuda::kFakeCudaSymbol))();
  fake.reset();
  return fake;
}

// A folder with these kernels of this build, each "name.architecture", removed with the object.
class CubinFolder {
 public:
  explicit CubinFolder(const std::vector<std::string>& names) {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() / ("sdxl-cubins-" + std::to_string(getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directory(path_);
    for (const std::string& name : names) std::ofstream(path_ / (name + ".cubin")) << name.substr(name.find(".sm_") + 1) << " fake";
    std::ofstream(path_ / "kernels.stamp") << cuda::Cubins::stamp() << "\n";
  }
  ~CubinFolder() { std::filesystem::remove_all(path_); }
  CubinFolder(const CubinFolder&) = delete;
  CubinFolder& operator=(const CubinFolder&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace sdxl::test
