#include "core/cpu_count.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/memory_size.h"
#include "test/check.h"

namespace sdxl {

namespace {

namespace fs = std::filesystem;

// A cgroup file system of plain files, removed at the end.
class Cgroups {
 public:
  Cgroups() : root_(fs::temp_directory_path() / ("sdxl-cgroups-" + std::to_string(std::hash<std::thread::id>()(std::this_thread::get_id())))) {
    fs::create_directories(root_);
  }
  ~Cgroups() { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  int cpus(const std::string& membership) const { return cgroup_cpus(root_.string(), membership).value_or(0); }
  int64_t memory(const std::string& membership) const { return cgroup_memory(root_.string(), membership).value_or(0); }

 private:
  fs::path root_;
};

}  // namespace

TEST("cpu count: at least one, at most the machine's") {
  CHECK(usable_cpus() >= 1);
  CHECK(usable_cpus() <= std::max(1, int(std::thread::hardware_concurrency())));
}

TEST("cpu count: cgroup version 2, the least quota on the way to the root, rounded up") {
  Cgroups groups;
  CHECK(groups.cpus("0::/a/b\n") == 0);
  groups.write("a/b/cpu.max", "max 100000\n");
  CHECK(groups.cpus("0::/a/b\n") == 0);
  groups.write("a/cpu.max", "250000 100000\n");
  CHECK(groups.cpus("0::/a/b\n") == 3);
  groups.write("a/b/cpu.max", "30000 100000\n");
  CHECK(groups.cpus("0::/a/b\n") == 1);
  CHECK(groups.cpus("0::/a\n") == 3);
  groups.write("cpu.max", "400000 100000\n");  // what a container sees as the root
  CHECK(groups.cpus("0::/elsewhere\n") == 4);
  CHECK(groups.cpus("0::/\n") == 4);
}

TEST("cpu count: cgroup version 1, quota and period in files of their own") {
  Cgroups groups;
  groups.write("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "150000\n");
  groups.write("cpu,cpuacct/docker/x/cpu.cfs_period_us", "50000\n");
  groups.write("cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  groups.write("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK(groups.cpus("5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n") == 3);
  CHECK(groups.cpus("5:memory:/docker/x\n4:cpu,cpuacct:/docker/y\n") == 0);
  CHECK(groups.cpus("5:cpuset:/docker/x\nnonsense\n") == 0);
}

TEST("memory size: the machine's, at most the least limit of the groups") {
  CHECK(usable_memory() > (int64_t(64) << 20));
  Cgroups groups;
  CHECK(groups.memory("0::/a/b\n") == 0);
  groups.write("a/memory.max", "2147483648\n");
  groups.write("a/b/memory.max", "max\n");
  CHECK(groups.memory("0::/a/b\n") == 2147483648);
  groups.write("memory/c/memory.limit_in_bytes", "1073741824\n");
  CHECK(groups.memory("4:memory:/c\n0::/a/b\n") == 1073741824);
  groups.write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");  // how version 1 says "none"
  CHECK(groups.memory("4:memory:/c\n") == 0);
}

}  // namespace sdxl
