// Numbers between the host's ordinary memory and a GPU, through a few pinned buffers.
#pragma once

#include <functional>
#include <mutex>

#include "core/dtype.h"
#include "core/tensor.h"
#include "cuda/driver/memory.h"

namespace sdxl::cuda {

class Transfers {
 public:
  // The stream has to be gone later than this.
  Transfers(const Context& context, const Stream& stream, int buffers) : stream_(stream), staging_(context, kBuffer, buffers), end_(context) {}

  // `fill` writes `bytes` bytes from `first` on; a piece holds whole units of so many bytes. On return all of it is filled, not yet copied. From
  // any thread.
  void upload(void* to, size_t bytes, size_t unit, const std::function<void(size_t first, size_t bytes, std::byte* buffer)>& fill);
  void upload(void* to, const void* from, size_t bytes);
  // `take` gets the pieces in order. From any thread; waits for the stream.
  void download(const void* from, size_t bytes, const std::function<void(size_t first, size_t bytes, const std::byte* buffer)>& take);

 private:
  static constexpr size_t kBuffer = size_t(4) << 20;

  const Stream& stream_;
  Staging staging_;
  std::mutex downloads_;
  Event end_;  // under the mutex
};

}  // namespace sdxl::cuda
