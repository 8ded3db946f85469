// The CUDA backend on the fake driver: its kernels run in the emulator.
#pragma once

#include <memory>

#include "cuda/backend/backend.h"
#include "cuda/test/fake_gpu.h"

namespace sdxl::test {

inline const cuda::FakeGpu kAmpereGpu{.name = "Fake 3090", .major = 8, .minor = 6, .memory = size_t(2) << 30, .shared_bytes = 99 << 10};
inline const cuda::FakeGpu kHopperGpu{.name = "Fake H200", .major = 9, .minor = 0, .memory = size_t(2) << 30, .shared_bytes = 227 << 10};

class FakeBackend {
 public:
  explicit FakeBackend(const cuda::FakeGpu& gpu, int threads = 2, size_t memory_limit = 0) : fake(fake_cuda()), cubins_(files()) {
    fake.gpus = {gpu};
    backend = cuda::make_backend({.threads = threads, .memory_limit = memory_limit, .library = SDXL_FAKE_CUDA, .cubins = cubins_.path()});
  }

  cuda::FakeCuda& fake;
  std::unique_ptr<ops::Backend> backend;

 private:
  static std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const char* file : {"activation", "attention", "attention_wide", "combine", "conv2d", "convert", "embedding", "gemm", "group_norm", "guidance",
                             "layer_norm", "layout", "narrow", "noise", "rgb", "attention_wgmma", "conv2d_wgmma", "gemm_wgmma"})
      for (const char* architecture : {".sm_86", ".sm_90a"}) names.push_back(std::string(file) + architecture);
    return names;
  }
  CubinFolder cubins_;
};

}  // namespace sdxl::test
