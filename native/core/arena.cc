#include "core/arena.h"

#include <string>

namespace sdxl {

namespace {

class HostMemory final : public MemorySource {
  std::byte* allocate(size_t bytes) override { return static_cast<std::byte*>(allocate_memory(bytes)); }
  void free(std::byte* memory) override { free_memory(memory); }
  Error exhausted(size_t wanted, size_t used) const override {
    return Error(
        Code::out_of_memory,
        "out of memory: " + std::to_string(wanted) + " bytes wanted for activations, " + std::to_string(used) + " in use, and the system gives no more",
        {{"wanted", int64_t(wanted)}, {"used", int64_t(used)}});
  }
};

}  // namespace

Arena::Arena(size_t limit) : Arena(std::make_unique<HostMemory>(), kAlign, limit) {}

Array Arena::take(Shape shape, DType type) { return Array(this, Tensor(pool_.take(size_t(shape.elements() * size_of(type))), type, shape)); }

}  // namespace sdxl
