#include "core/cgroup.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

namespace sdxl {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<double> cgroup_limit(const std::string& root, const std::string& membership, const std::string& controller, const CgroupReader& version2,
                                   const CgroupReader& version1) {
  std::optional<double> least;
  // A container sees its own group as the root, whatever path the membership names, so every ancestor is tried down to the mount itself.
  const auto walk = [&](const std::string& mount, std::string path, const CgroupReader& read) {
    while (true) {
      while (!path.empty() && path.back() == '/') path.pop_back();
      if (const std::optional<double> limit = read(mount + path)) least = std::min(least.value_or(*limit), *limit);
      if (path.empty()) return;
      const size_t slash = path.rfind('/');
      path.resize(slash == std::string::npos ? 0 : slash);
    }
  };

  std::istringstream lines(membership);  // "<id>:<controllers>:<path>", version 2 as "0::<path>"
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) walk(root, path, version2);
    else if (("," + controllers + ",").find("," + controller + ",") != std::string::npos) {
      walk(root + "/" + controller, path, version1);
      walk(root + "/" + controllers, path, version1);
    }
  }
  return least;
}

}  // namespace sdxl
