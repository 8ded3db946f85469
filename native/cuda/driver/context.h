// A GPU taken into use. It is the device's primary context, which everything in this process shares: models on one GPU pay for it once.
#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "cuda/driver/device.h"
#include "cuda/driver/library.h"

namespace sdxl::cuda {

class Context {
 public:
  // Makes itself current on the calling thread.
  Context(const Library& library, int index);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Every thread that uses the GPU calls this once.
  void make_current() const;

  struct Memory {
    int64_t free, total;
  };
  Memory memory() const;

  // Throws unless `result` is success. `what`: the call or kernel, for the message.
  //  - out of memory: Error(out_of_memory) with the bytes free;
  //  - an error that the driver repeats at every later call, such as a bad address in a kernel: Error(crashed), from now on at every check.
  void check(Result result, const std::string& what) const;
  // The same with the bytes that were wanted.
  void check_allocation(Result result, size_t wanted, const std::string& what) const;
  // What to throw when an allocation finds no more memory; 0 bytes wanted where that is not known.
  Error out_of_memory(int64_t wanted, const std::string& what) const;
  bool crashed() const { return crashed_; }

  const Functions& functions() const { return library_.functions(); }
  const Device& device() const { return device_; }

 private:
  const Library& library_;
  Device device_;
  DeviceNumber number_ = 0;
  CUctx_st* handle_ = nullptr;
  mutable std::atomic<bool> crashed_ = false;
  mutable std::mutex mutex_;
  mutable std::string reason_;  // of the first crash; under the mutex
};

}  // namespace sdxl::cuda
