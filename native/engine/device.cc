#include "engine/device.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/cpu_count.h"
#include "cpu/backend.h"
#include "cuda/backend/backend.h"
#include "cuda/driver/device.h"

namespace sdxl::engine {

namespace {

constexpr std::string_view kCuda = "cuda";

Device open_cpu(const DeviceRequest& request, int threads, std::string reason) {
  const char* isa = std::getenv("NODE_SDXL_ISA");
  const std::string_view set = isa ? isa : "";
  return {.backend = make_cpu_backend(threads, size_t(request.memory_budget), set),
          .id = "cpu",
          .reason = std::move(reason),
          .bf16_products = multiplies_bf16(set)};
}

Device open_cuda(const DeviceRequest& request, int threads, int index, std::string reason) {
  try {
    return {.backend = cuda::make_backend({.device = index, .threads = threads, .memory_limit = size_t(request.memory_budget)}),
            .id = "cuda:" + std::to_string(index),
            .reason = std::move(reason),
            .narrow = true};
  } catch (Error& error) {
    for (auto& [key, value] : error.details)
      if (key == "device") value = request.device;  // as it was asked for
    throw;
  }
}

// N of "cuda:N".
int index_of(const std::string& device) {
  int index = 0;
  const char *begin = device.data() + kCuda.size(), *end = device.data() + device.size();
  const auto [rest, error] = std::from_chars(std::min(begin + 1, end), end, index);
  if (*begin != ':' || error != std::errc() || rest != end || index < 0)
    throw Error(Code::device_unavailable, "there is no device " + device + "; use 'auto', 'cpu', 'cuda' or 'cuda:N'", {{"device", device}});
  return index;
}

struct FirstGpu {
  int index = -1;      // the first one that can be used
  std::string reason;  // why there is none
};
FirstGpu first_gpu() {
  FirstGpu found;
  for (const cuda::DeviceReport& report : cuda::report_devices(cuda::Library::default_path(), cuda::Cubins::default_folder(), "")) {
    if (report.reason.empty()) return {index_of(report.id), {}};
    if (found.reason.empty()) found.reason = report.reason;
  }
  return found;
}

}  // namespace

Device open_device(const DeviceRequest& request) {
  const int threads = request.threads > 0 ? request.threads : usable_cpus();
  if (request.device == "cpu") return open_cpu(request, threads, "asked for");
  if (request.device == "auto" || request.device == kCuda) {
    const FirstGpu gpu = first_gpu();
    if (gpu.index >= 0) return open_cuda(request, threads, gpu.index, request.device == "auto" ? "the first GPU that can be used" : "asked for");
    if (request.device == "auto") return open_cpu(request, threads, gpu.reason);
    throw Error(Code::device_unavailable, "no GPU can be used: " + gpu.reason, {{"device", request.device}});
  }
  return open_cuda(request, threads, index_of(request.device), "asked for");
}

ModelFormats formats_for(const Device& device, const std::string& precision, const weights::Checkpoint& checkpoint) {
  if (!device.narrow) {
    const model::Formats as_filed = model::Formats::widened(ops::Storage::source);
    // One and the same, so that a picture is repeated by the precision that it is said to be made with.
    if (device.bf16_products && (precision == "auto" || precision == "bf16")) return {model::Formats::bf16_branches(), as_filed, as_filed, "bf16"};
    const model::Formats network = model::Formats::widened(precision == "fp32"   ? ops::Storage::f32
                                                           : precision == "fp16" ? ops::Storage::f16
                                                           : precision == "bf16" ? ops::Storage::bf16
                                                                                 : ops::Storage::source);
    return {network, network, as_filed, precision == "auto" ? "fp32" : precision};
  }
  if (precision == "fp32")
    throw Error(Code::invalid_argument, "precision 'fp32' is for the CPU; " + device.id + " computes with 16 bits: use 'auto', 'fp16' or 'bf16'",
                {{"field", std::string("precision")}, {"device", device.id}});
  const auto& unet = checkpoint.unet.tensors;
  const auto first = unet.find("conv_in.weight");
  const bool stored_bf16 = first != unet.end() && first->second.dtype == DType::bf16;
  const DType type = precision == "bf16" || (precision == "auto" && stored_bf16) ? DType::bf16 : DType::f16;
  return {model::Formats::narrow(type), model::Formats::narrow(type), model::Formats::narrow(DType::bf16), type == DType::bf16 ? "bf16" : "fp16"};
}

}  // namespace sdxl::engine
