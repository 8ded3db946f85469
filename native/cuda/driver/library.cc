#include "cuda/driver/library.h"

#include <cstdlib>
#include <type_traits>

#include "cuda/driver/shared_library.h"

namespace sdxl::cuda {

namespace {

Error unavailable(const std::string& message) { return Error(Code::device_unavailable, message, {{"device", "cuda"}}); }

std::string no_gpu() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return "the NVIDIA driver finds no GPU" +
         (visible ? " (CUDA_VISIBLE_DEVICES is \"" + std::string(visible) + "\")" : "; in a container, was it started with GPUs (docker: --gpus all)?");
}

std::string advice_on_start(Result result) {
  switch (result) {
    case result::kSystemNotReady: return "; on machines with NVSwitch, is nvidia-fabricmanager running?";
    case result::kSystemDriverMismatch: return "; the driver was updated while its old kernel module is still loaded: restart the machine";
    case result::kCompatNotSupported: return "; a forward compatibility package is in the library path that this GPU does not support: remove it";
    case result::kUnknown: return "; is the kernel module nvidia_uvm loaded (nvidia-modprobe -u), and does nvidia-smi work?";
    default: return "; does nvidia-smi work?";
  }
}

}  // namespace

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

#ifdef _WIN32
const char* Library::default_path() { return "nvcuda.dll"; }
#else
const char* Library::default_path() { return "libcuda.so.1"; }
#endif

Library::Library(const std::string& path) {
  void* const library = open_library(path);
  if (!library) throw unavailable("there is no NVIDIA driver: " + open_error());
  const std::string install = "install NVIDIA driver 525 or newer";
  std::string missing;
  for_each_function(functions_, [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol(library, name));
    if (!function && missing.empty()) missing = name;
  });
  if (!missing.empty()) throw unavailable("the NVIDIA driver is too old, it has no " + missing + ": " + install);

  if (const Result r = functions_.cuDriverGetVersion(&version_); r != result::kSuccess) throw unavailable("the NVIDIA driver has no version: " + text(r));
  if (version_ < kOldestVersion)
    throw unavailable("the NVIDIA driver is too old, it supports CUDA " + version_text(version_) + " and " + version_text(kOldestVersion) +
                      " is needed: " + install);

  const Result started = functions_.cuInit(0);
  if (started == result::kNoDevice) throw unavailable(no_gpu());
  if (started != result::kSuccess) throw unavailable("the NVIDIA driver does not start: " + text(started) + advice_on_start(started));
  if (const Result r = functions_.cuDeviceGetCount(&device_count_); r != result::kSuccess) throw unavailable("the NVIDIA driver lists no GPUs: " + text(r));
  if (device_count_ == 0) throw unavailable(no_gpu());
}

std::string Library::text(Result result) const {
  const char *name = nullptr, *words = nullptr;
  functions_.cuGetErrorName(result, &name);
  functions_.cuGetErrorString(result, &words);
  if (!name) return "CUDA error " + std::to_string(result);
  return std::string(name) + (words ? " (" + std::string(words) + ")" : "");
}

}  // namespace sdxl::cuda
