// Memory of a GPU, and memory of the host that it can copy to and from while both go on working.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/arena.h"
#include "cuda/driver/stream.h"

namespace sdxl::cuda {

constexpr size_t kDeviceAlign = 256;

// Memory for the work of one stream: a block given back may be taken again at once, because what used it comes earlier in the stream.
Arena device_arena(const Context& context, size_t limit = 0);

// The host's, pinned for all GPUs, in large regions. The host alone gives blocks back: what copies from one has to be done before.
Arena pinned_arena(const Context& context);

// Host memory that is pinned for all GPUs. Dear to make: a third of a second for a gigabyte.
class PinnedMemory {
 public:
  PinnedMemory(const Context& context, size_t bytes);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  const Context& context_;
  std::byte* data_ = nullptr;
  size_t bytes_;
};

// A few pinned buffers through which much goes to the GPU: threads fill some while the copies of others are under way.
class Staging {
 public:
  Staging(const Context& context, size_t bytes, int count);
  ~Staging();  // waits for the copies

  // One of them, given back by upload or by its own end. Thread-safe.
  class Buffer {
   public:
    Buffer(Buffer&& other) noexcept : staging_(std::exchange(other.staging_, nullptr)), index_(other.index_) {}
    Buffer& operator=(Buffer&&) = delete;
    ~Buffer() {
      if (staging_) staging_->give_back(index_);
    }
    std::byte* data() const { return staging_->slots_[index_]->memory.data(); }
    size_t bytes() const { return staging_->slots_[index_]->memory.bytes(); }

   private:
    friend class Staging;
    Buffer(Staging* staging, size_t index) : staging_(staging), index_(index) {}
    Staging* staging_;
    size_t index_;
  };

  // Waits until a buffer is free and the copy that last used it is done.
  Buffer take();
  // Puts the copy of the buffer's first `bytes` into the stream.
  void upload(Buffer buffer, size_t bytes, void* to, const Stream& stream);

 private:
  struct Slot {
    Slot(const Context& context, size_t bytes) : memory(context, bytes), copied(context) {}
    PinnedMemory memory;
    Event copied;
  };

  void give_back(size_t index);

  std::vector<std::unique_ptr<Slot>> slots_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<size_t> free_;  // the one given back longest ago first; under the mutex
};

}  // namespace sdxl::cuda
