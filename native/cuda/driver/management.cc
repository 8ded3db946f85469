#include "cuda/driver/management.h"

#include <type_traits>

#include "cuda/driver/shared_library.h"

namespace sdxl::cuda {

namespace {

// "01234567-89ab-cdef-0123-456789abcdef"
std::string text(const Uuid& uuid) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += kDigits[uuid.bytes[i] >> 4];
    out += kDigits[uuid.bytes[i] & 15];
  }
  return out;
}

}  // namespace

#ifdef _WIN32
const char* Management::default_path() { return "nvml.dll"; }
#else
const char* Management::default_path() { return "libnvidia-ml.so.1"; }
#endif

Management::Management(const std::string& path) {
  void* const library = path.empty() ? nullptr : open_library(path);
  if (!library) return;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol(library, name));
    return function != nullptr;
  };
  int (*start)() = nullptr;
  int (*shutdown)() = nullptr;
  if (find("nvmlInit_v2", start) && find("nvmlShutdown", shutdown) && find("nvmlDeviceGetHandleByUUID", handle_of_) &&
      find("nvmlDeviceGetMemoryInfo", memory_of_) && start() == 0)
    shutdown_ = shutdown;
}

Management::~Management() {
  if (shutdown_) shutdown_();
}

std::optional<int64_t> Management::free_memory(const Uuid& gpu) const {
  if (!shutdown_) return std::nullopt;
  for (const char* kind : {"GPU-", "MIG-"}) {  // the driver gives the number alone
    void* handle = nullptr;
    Memory memory{};
    if (handle_of_((kind + text(gpu)).c_str(), &handle) == 0 && memory_of_(handle, &memory) == 0) return int64_t(memory.free);
  }
  return std::nullopt;
}

}  // namespace sdxl::cuda
