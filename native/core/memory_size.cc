#include "core/memory_size.h"

#include <algorithm>
#include <limits>
#include <sstream>

#include "core/cgroup.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <unistd.h>
#endif

namespace sdxl {

namespace {

// "max" in version 2 is no number; version 1 says a number near 2^63 when nothing is limited.
std::optional<double> bytes_in(const std::string& path) {
  std::istringstream in(text_of(path));
  double bytes = 0;
  if (in >> bytes && bytes > 0 && bytes < 0x1p60) return bytes;
  return std::nullopt;
}

int64_t machine_memory() {
#ifdef _WIN32
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  return GlobalMemoryStatusEx(&status) ? int64_t(status.ullTotalPhys) : std::numeric_limits<int64_t>::max();
#else
  const int64_t pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && size > 0 ? pages * size : std::numeric_limits<int64_t>::max();
#endif
}

}  // namespace

std::optional<int64_t> cgroup_memory(const std::string& root, const std::string& membership) {
  const auto limit = cgroup_limit(
      root, membership, "memory", [](const std::string& folder) { return bytes_in(folder + "/memory.max"); },
      [](const std::string& folder) { return bytes_in(folder + "/memory.limit_in_bytes"); });
  return limit ? std::optional(int64_t(*limit)) : std::nullopt;
}

int64_t usable_memory() {
  int64_t bytes = machine_memory();
#ifdef __linux__
  if (const auto limit = cgroup_memory("/sys/fs/cgroup", text_of("/proc/self/cgroup"))) bytes = std::min(bytes, *limit);
#endif
  return bytes;
}

}  // namespace sdxl
