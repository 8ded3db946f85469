#include "cuda/driver/context.h"

namespace sdxl::cuda {

namespace {

// After these the context is of no more use; every call returns the same.
bool is_sticky(Result r) {
  switch (r) {
    case result::kDeinitialized:
    case result::kUncorrectableEcc:
    case result::kUncorrectableNvlink:
    case result::kContained:
    case result::kIllegalAddress:
    case result::kLaunchTimeout:
    case result::kContextIsDestroyed:
    case result::kAssert:
    case result::kHardwareStackError:
    case result::kIllegalInstruction:
    case result::kMisalignedAddress:
    case result::kInvalidAddressSpace:
    case result::kInvalidPc:
    case result::kLaunchFailed:
    case result::kTensorMemoryLeak:
    case result::kExternalDevice:
    case result::kUnknown: return true;
    default: return false;
  }
}

bool is_unavailable(Result r) {
  return r == result::kDeviceUnavailable || r == result::kNoDevice || r == result::kInvalidDevice || r == result::kNoBinaryForGpu ||
         r == result::kUnsupportedPtxVersion;
}

}  // namespace

Context::Context(const Library& library, int index) : library_(library), device_(cuda::device(library, index)) {
  check(functions().cuDeviceGet(&number_, index), "cuDeviceGet");
  check(functions().cuDevicePrimaryCtxRetain(&handle_, number_), "cuDevicePrimaryCtxRetain");
  try {
    make_current();
  } catch (...) {
    functions().cuDevicePrimaryCtxRelease_v2(number_);
    throw;
  }
}

Context::~Context() { functions().cuDevicePrimaryCtxRelease_v2(number_); }

void Context::make_current() const { check(functions().cuCtxSetCurrent(handle_), "cuCtxSetCurrent"); }

Context::Memory Context::memory() const {
  size_t free = 0, total = 0;
  check(functions().cuMemGetInfo_v2(&free, &total), "cuMemGetInfo");
  return {int64_t(free), int64_t(total)};
}

Error Context::out_of_memory(int64_t wanted, const std::string& what) const {
  size_t free = 0, total = 0;
  functions().cuMemGetInfo_v2(&free, &total);  // stays 0 when even that fails
  std::vector<std::pair<std::string, Detail>> details = {{"device", device_.id()}, {"free", int64_t(free)}, {"total", int64_t(total)}};
  if (wanted > 0) details.push_back({"wanted", wanted});
  return Error(Code::out_of_memory,
               "out of memory on " + device_.id() + " (" + device_.name + "): " + (wanted > 0 ? std::to_string(wanted) + " bytes wanted for " : "") + what +
                   ", " + std::to_string(free) + " of " + std::to_string(total) + " free",
               std::move(details));
}

void Context::check(Result r, const std::string& what) const { check_allocation(r, 0, what); }

void Context::check_allocation(Result r, size_t wanted, const std::string& what) const {
  if (r == result::kSuccess && !crashed_) return;
  if (!crashed_ && is_sticky(r)) {
    const std::lock_guard lock(mutex_);
    if (reason_.empty()) reason_ = what + ": " + library_.text(r);
    crashed_ = true;
  }
  if (crashed_) {
    const std::lock_guard lock(mutex_);
    throw Error(Code::crashed, device_.id() + " (" + device_.name + ") has stopped working for this process: " + reason_,
                {{"device", device_.id()}, {"reason", reason_}});
  }
  if (r == result::kOutOfMemory) throw out_of_memory(int64_t(wanted), what);
  throw Error(is_unavailable(r) ? Code::device_unavailable : Code::internal, device_.id() + " (" + device_.name + "), " + what + ": " + library_.text(r),
              {{"device", device_.id()}});
}

}  // namespace sdxl::cuda
