// A stand-in for libcuda, for tests: a shared library with the functions of driver/functions.h. Device memory is host memory
// without permission to touch it but while queued work runs, so that a host that takes an address of the GPU for its own dies of it. Kernels
// run in the emulator. Work in a stream is done as late as the rules allow, when somebody waits for it, so that what relies on luck shows.
// A module's image is the text "<architecture> <anything>". The library is a stand-in for NVIDIA's management library as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cuda/driver/functions.h"

namespace sdxl::cuda {

struct FakeGpu {
  std::string name = "Fake GPU";
  int major = 8, minor = 6;
  size_t memory = size_t(1) << 30;
  int shared_bytes = 99 << 10;  // most of one block
  bool partition = false;       // of a larger GPU (MIG), for the management library
};

struct FakeCuda {
  int version = 12040;
  std::vector<FakeGpu> gpus = {{}};

  struct Failure {
    Result result;
    int after = 0;  // so many calls succeed first
    int times = 1;  // then so many fail
  };
  size_t pinnable = SIZE_MAX;  // bytes of host memory that may be pinned at once
  // Copies from the host are done as soon as the rules allow: what overwrites memory that is still to be read shows then.
  bool early_uploads = false;
  // By function. A process that only loads the library, such as Node, sets them by the file that FAKE_CUDA_FAILURES names, with lines
  // "function result after times": the next call reads and removes it.
  std::map<std::string, Failure> failures;
  std::string last_fault;  // of the emulator

  std::vector<std::string> calls;  // names of the functions, in order
  int64_t calls_of(const std::string& name) const {
    int64_t count = 0;
    for (const std::string& call : calls) count += call == name;
    return count;
  }

  // What has been made and not been destroyed: allocations, pinned memory, streams, events, modules, graphs, retained contexts, and starts of
  // the management library without its end.
  virtual int64_t live() const = 0;
  // Most bytes of device memory ever allocated at once.
  virtual size_t peak() const = 0;
  // As if just loaded.
  virtual void reset() = 0;

 protected:
  ~FakeCuda() = default;
};

// The library's one symbol besides the driver's, of this type.
constexpr const char* kFakeCudaSymbol = "fake_cuda";
using FakeCudaFunction = FakeCuda* (*)();

}  // namespace sdxl::cuda
