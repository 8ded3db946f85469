#include "core/cpu_count.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <thread>

#include "core/cgroup.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace sdxl {

namespace {

std::optional<double> ratio(double quota, double period) {
  if (quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

// Version 2: "cpu.max" holds "<quota or max> <period>".
std::optional<double> quota_v2(const std::string& folder) {
  std::istringstream in(text_of(folder + "/cpu.max"));
  double quota = 0, period = 0;
  if (in >> quota >> period) return ratio(quota, period);
  return std::nullopt;
}

// Version 1: a file each; quota −1 is no limit.
std::optional<double> quota_v1(const std::string& folder) {
  std::istringstream quota_in(text_of(folder + "/cpu.cfs_quota_us")), period_in(text_of(folder + "/cpu.cfs_period_us"));
  double quota = 0, period = 0;
  if (quota_in >> quota && period_in >> period) return ratio(quota, period);
  return std::nullopt;
}

}  // namespace

std::optional<int> cgroup_cpus(const std::string& root, const std::string& membership) {
  const std::optional<double> least = cgroup_limit(root, membership, "cpu", quota_v2, quota_v1);
  if (!least) return std::nullopt;
  return std::max(1, int(std::ceil(std::min(*least, 1e6))));
}

int usable_cpus() {
  int count = std::max(1, int(std::thread::hardware_concurrency()));
#ifdef __linux__
  // The static cpu_set_t ends at 1024 CPUs; a larger machine makes the call fail, and hardware_concurrency stands.
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = std::max(1, CPU_COUNT(&set));
  if (const std::optional<int> quota = cgroup_cpus("/sys/fs/cgroup", text_of("/proc/self/cgroup"))) count = std::min(count, *quota);
#endif
  return count;
}

}  // namespace sdxl
