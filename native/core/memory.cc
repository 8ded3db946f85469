#include "core/memory.h"

#include <cstdint>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace sdxl {

namespace {

constexpr size_t kLargePage = size_t(2) << 20;

// Gigabytes of weights in 4 KB pages cost seconds of page faults at load and misses of the address cache ever after.
void prefer_large_pages([[maybe_unused]] void* memory, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(memory) + kLargePage - 1) / kLargePage * kLargePage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(memory) + bytes) / kLargePage * kLargePage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // advice: a refusal changes nothing
#endif
}

}  // namespace

void* allocate_memory(size_t bytes) {
  void* memory = ::operator new(bytes, std::align_val_t(kMemoryAlign), std::nothrow);
  if (memory && bytes >= 2 * kLargePage) prefer_large_pages(memory, bytes);
  return memory;
}

void free_memory(void* memory) { ::operator delete(memory, std::align_val_t(kMemoryAlign)); }

}  // namespace sdxl
