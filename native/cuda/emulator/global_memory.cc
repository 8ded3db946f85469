#include "cuda/emulator/global_memory.h"

#include <map>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace sdxl::emulator {

namespace {

struct Range {
  size_t bytes;
  bool writable;
};
std::map<const char*, Range>& buffers() {
  static std::map<const char*, Range> all;
  return all;
}
// The last few hits: a kernel alternates between few buffers.
struct Hit {
  const char* begin = nullptr;
  const char* end = nullptr;
  bool writable = false;
};
Hit hits[4];
int next_hit = 0;

}  // namespace

void add_buffer(const void* data, size_t bytes, bool writable) { buffers()[static_cast<const char*>(data)] = {bytes, writable}; }

void remove_buffer(const void* data) {
  buffers().erase(static_cast<const char*>(data));
  for (Hit& hit : hits) hit = {};
}

#if defined(__SANITIZE_ADDRESS__)
void hide(const void* p, size_t bytes) { __asan_poison_memory_region(p, bytes); }
void reveal(const void* p, size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
#else
void hide(const void*, size_t) {}
void reveal(const void*, size_t) {}
#endif

bool in_buffer(const void* p, size_t bytes, bool write) {
  const char* first = static_cast<const char*>(p);
  for (const Hit& hit : hits)
    if (first >= hit.begin && first + bytes <= hit.end) return hit.writable || !write;
  auto it = buffers().upper_bound(first);
  if (it == buffers().begin()) return false;
  --it;
  if (first + bytes > it->first + it->second.bytes) return false;
  hits[next_hit++ % 4] = {it->first, it->first + it->second.bytes, it->second.writable};
  return it->second.writable || !write;
}

}  // namespace sdxl::emulator
