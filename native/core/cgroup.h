// Limits that Linux control groups put on this process, as containers do.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace sdxl {

// What a group's folder says about a limit; none when it has none.
using CgroupReader = std::function<std::optional<double>(const std::string& folder)>;

// The least limit of all groups that the process is in, ancestors included. `membership` is the content of /proc/<pid>/cgroup, `root`
// where the cgroup file system is mounted, `controller` the name in version 1, such as "cpu".
std::optional<double> cgroup_limit(const std::string& root, const std::string& membership, const std::string& controller, const CgroupReader& version2,
                                   const CgroupReader& version1);

// The content of a small file; "" when it cannot be read.
std::string text_of(const std::string& path);

}  // namespace sdxl
