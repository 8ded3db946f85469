// How much memory this process may use, which in a container is seldom what the machine has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace sdxl {

// Bytes: the machine's memory, at most the cgroup's limit.
int64_t usable_memory();

// The memory limit of the process whose /proc/<pid>/cgroup is `membership`, with the cgroup file system mounted at `root`; none when
// nothing is limited.
std::optional<int64_t> cgroup_memory(const std::string& root, const std::string& membership);

}  // namespace sdxl
