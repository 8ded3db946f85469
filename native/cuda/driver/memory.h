// Memory of a GPU, and memory of the host that it can copy to and from while both go on working.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/block_pool.h"
#include "cuda/driver/stream.h"

namespace sdxl::cuda {

class DeviceMemory;

// A piece of device memory that goes back when it goes. Move-only.
class DeviceBlock {
 public:
  DeviceBlock() = default;
  DeviceBlock(DeviceBlock&& other) noexcept { swap(other); }
  DeviceBlock& operator=(DeviceBlock&& other) noexcept {
    DeviceBlock(std::move(other)).swap(*this);
    return *this;
  }
  ~DeviceBlock();

  explicit operator bool() const { return owner_ != nullptr; }
  void* data() const { return data_; }  // an address on the GPU
  size_t bytes() const { return bytes_; }

 private:
  friend class DeviceMemory;
  DeviceBlock(DeviceMemory* owner, std::byte* data, size_t bytes) : owner_(owner), data_(data), bytes_(bytes) {}
  void swap(DeviceBlock& other) {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  DeviceMemory* owner_ = nullptr;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

// Blocks for the work of one stream: a block given back may be taken again at once, because what used it comes earlier in the stream.
class DeviceMemory {
 public:
  static constexpr size_t kAlign = 256;

  explicit DeviceMemory(const Context& context, size_t limit = 0) : source_(context), pool_(source_, kAlign, limit) {}

  // Contents are undefined. Throws Error(out_of_memory).
  DeviceBlock take(size_t bytes);

  BlockPool& pool() { return pool_; }

 private:
  friend class DeviceBlock;
  class Source final : public MemorySource {
   public:
    explicit Source(const Context& context) : context_(context) {}
    std::byte* allocate(size_t bytes) override;
    void free(std::byte* memory) override;
    Error exhausted(size_t wanted, size_t used) const override;

   private:
    const Context& context_;
  };

  Source source_;
  BlockPool pool_;
};

inline DeviceBlock::~DeviceBlock() {
  if (owner_) owner_->pool_.give_back(data_);
}

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
