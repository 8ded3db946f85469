#include "cuda/driver/device.h"

#include <cstring>

namespace sdxl::cuda {

namespace {

std::string id_of(int index) { return "cuda:" + std::to_string(index); }

}  // namespace

std::string Device::id() const { return id_of(index); }

Device device(const Library& library, int index) {
  const Functions& f = library.functions();
  const auto check = [&](Result r) {
    if (r != result::kSuccess)
      throw Error(Code::device_unavailable, id_of(index) + " cannot be asked what it is: " + library.text(r), {{"device", id_of(index)}});
  };
  if (index < 0 || index >= library.device_count())
    throw Error(Code::device_unavailable,
                "there is no " + id_of(index) + ": this machine has " + std::to_string(library.device_count()) +
                    (library.device_count() == 1 ? " NVIDIA GPU" : " NVIDIA GPUs"),
                {{"device", id_of(index)}});
  DeviceNumber number;
  check(f.cuDeviceGet(&number, index));
  const auto attribute = [&](int which) {
    int value = 0;
    check(f.cuDeviceGetAttribute(&value, which, number));
    return value;
  };
  char name[256] = {};
  check(f.cuDeviceGetName(name, sizeof name - 1, number));
  size_t memory = 0;
  check(f.cuDeviceTotalMem_v2(&memory, number));
  Uuid uuid{};
  check(f.cuDeviceGetUuid_v2(&uuid, number));
  return {.index = index,
          .name = name,
          .capability = {attribute(attribute::kMajor), attribute(attribute::kMinor)},
          .uuid = uuid,
          .memory = int64_t(memory),
          .multiprocessors = attribute(attribute::kMultiprocessors),
          .l2_bytes = attribute(attribute::kL2Bytes),
          .shared_bytes = attribute(attribute::kSharedBytesOfBlock)};
}

std::vector<DeviceReport> report_devices(const std::string& library_path, const std::string& cubin_folder, const std::string& management_path) {
  std::vector<DeviceReport> reports;
  try {
    const Library library(library_path);
    const Cubins cubins(cubin_folder);
    const Management management(management_path);
    for (int i = 0; i < library.device_count(); ++i) {
      DeviceReport report{.id = id_of(i), .name = "NVIDIA GPU"};
      try {
        const Device found = device(library, i);
        report.name = found.name;
        report.memory = found.memory;
        report.free_memory = management.free_memory(found.uuid);
        report.features = {"compute " + found.capability.text(), "CUDA " + version_text(library.version())};
        report.features.push_back(cubins.architecture_for(found.capability));
      } catch (const std::exception& e) {
        report.reason = e.what();
      }
      reports.push_back(std::move(report));
    }
  } catch (const std::exception& e) {  // such as a folder that cannot be read to its end
    reports = {{.id = "cuda", .name = "NVIDIA GPU", .reason = e.what()}};
  }
  return reports;
}

}  // namespace sdxl::cuda
