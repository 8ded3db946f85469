// Memory from the system: aligned, and in large pages where they help.
#pragma once

#include <cstddef>

namespace sdxl {

constexpr size_t kMemoryAlign = 64;  // a cache line, and the widest vector

// Null when the system gives no more. Contents are undefined.
void* allocate_memory(size_t bytes);
void free_memory(void* memory);

}  // namespace sdxl
