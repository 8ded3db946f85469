#include "cuda/driver/memory.h"

namespace sdxl::cuda {

namespace {

class DeviceSource final : public MemorySource {
 public:
  explicit DeviceSource(const Context& context) : context_(context) {}

  std::byte* allocate(size_t bytes) override {
    DevicePointer pointer = 0;
    const Result r = context_.functions().cuMemAlloc_v2(&pointer, bytes);
    if (r == result::kOutOfMemory) return nullptr;
    context_.check(r, "cuMemAlloc");
    return reinterpret_cast<std::byte*>(pointer);
  }
  void free(std::byte* memory) override { context_.functions().cuMemFree_v2(reinterpret_cast<DevicePointer>(memory)); }
  Error exhausted(size_t wanted, size_t used) const override {
    return context_.out_of_memory(int64_t(wanted), "activations and weights (" + std::to_string(used) + " in use by this model)");
  }

 private:
  const Context& context_;
};

// Null where there is no more.
std::byte* pin(const Context& context, size_t bytes) {
  void* memory = nullptr;
  const Result r = context.functions().cuMemHostAlloc(&memory, bytes, kPortablePinned);
  if (r == result::kOutOfMemory) return nullptr;
  context.check(r, "cuMemHostAlloc");
  return static_cast<std::byte*>(memory);
}

Error cannot_pin(size_t bytes, const std::string& what) {
  return Error(Code::out_of_memory, "out of memory: " + std::to_string(bytes) + " bytes of pinned host memory wanted for " + what,
               {{"wanted", int64_t(bytes)}});
}

class PinnedSource final : public MemorySource {
 public:
  explicit PinnedSource(const Context& context) : context_(context) {}

  std::byte* allocate(size_t bytes) override { return pin(context_, bytes); }
  void free(std::byte* memory) override { context_.functions().cuMemFreeHost(memory); }
  Error exhausted(size_t wanted, size_t used) const override { return cannot_pin(wanted, "weights (" + std::to_string(used) + " in use by this model)"); }

 private:
  const Context& context_;
};

}  // namespace

Arena pinned_arena(const Context& context) { return Arena(std::make_unique<PinnedSource>(context), kDeviceAlign, 0); }

Arena device_arena(const Context& context, size_t limit) { return Arena(std::make_unique<DeviceSource>(context), kDeviceAlign, limit); }

PinnedMemory::PinnedMemory(const Context& context, size_t bytes) : context_(context), data_(pin(context, bytes)), bytes_(bytes) {
  if (!data_) throw cannot_pin(bytes, "copies to the GPU");
}

PinnedMemory::~PinnedMemory() { context_.functions().cuMemFreeHost(data_); }

Staging::Staging(const Context& context, size_t bytes, int count) {
  for (int i = 0; i < count; ++i) {
    slots_.push_back(std::make_unique<Slot>(context, bytes));
    free_.push_back(size_t(i));
  }
}

Staging::~Staging() {
  for (const auto& slot : slots_) {
    try {
      slot->copied.wait();
    } catch (const Error&) {  // after a crash nothing is under way
    }
  }
}

Staging::Buffer Staging::take() {
  size_t index;
  {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return !free_.empty(); });
    index = free_.front();
    free_.erase(free_.begin());
  }
  Buffer buffer(this, index);
  slots_[index]->copied.wait();
  return buffer;
}

void Staging::upload(Buffer buffer, size_t bytes, void* to, const Stream& stream) {
  stream.upload(to, buffer.data(), bytes);
  slots_[buffer.index_]->copied.record(stream);
}

void Staging::give_back(size_t index) {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(index);
  }
  freed_.notify_one();
}

}  // namespace sdxl::cuda
