// How many CPUs this process may use, which in a container is seldom how many the machine has.
#pragma once

#include <optional>
#include <string>

namespace sdxl {

// CPUs of the affinity mask, at most the cgroup's CPU quota rounded up; at least 1. Elsewhere than on Linux, the machine's.
int usable_cpus();

// The CPU quota of the process whose /proc/<pid>/cgroup is `membership`, with the cgroup file system mounted at `root`: the least of
// all its ancestors', rounded up. None when nothing is limited.
std::optional<int> cgroup_cpus(const std::string& root, const std::string& membership);

}  // namespace sdxl
