// Compiles only if cuda/driver/functions.h agrees with NVIDIA's cuda.h. Part of scripts/build-cuda.mjs, which has that header.
#include "cuda/driver/functions.h"

// Behind our own header, because it renames functions by macros.
#include <cuda.h>

#include <type_traits>

namespace sdxl::cuda {

namespace {

// Ours say int or unsigned where NVIDIA's have an enumeration, and uint64_t for an unsigned of that size.
template <class T>
constexpr bool is_whole = std::is_enum_v<T> || std::is_integral_v<T>;
template <class Theirs, class Ours>
constexpr bool alike() {
  if constexpr (std::is_same_v<Theirs, Ours>) return true;
  else if constexpr (std::is_pointer_v<Theirs> && std::is_pointer_v<Ours>)
    return std::is_const_v<std::remove_pointer_t<Theirs>> == std::is_const_v<std::remove_pointer_t<Ours>> &&
           alike<std::remove_cv_t<std::remove_pointer_t<Theirs>>, std::remove_cv_t<std::remove_pointer_t<Ours>>>();
  else if constexpr (std::is_class_v<Theirs> && std::is_class_v<Ours>) return sizeof(Theirs) == sizeof(Ours) && alignof(Theirs) == alignof(Ours);
  else return is_whole<Theirs> && is_whole<Ours> && sizeof(Theirs) == sizeof(Ours);
}

template <class Theirs, class Ours>
struct Compare : std::false_type {};
template <class... Theirs, class... Ours>
struct Compare<CUresult (*)(Theirs...), Result (*)(Ours...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(Theirs) != sizeof...(Ours)) return false;
    else return (alike<Theirs, Ours>() && ...);
  }();
};

// NOLINT: a macro, because the name is wanted as a function and as a member.
#define SDXL_SAME_FUNCTION(name) static_assert(Compare<decltype(&::name), decltype(Functions::name)>::value)
SDXL_SAME_FUNCTION(cuInit);
SDXL_SAME_FUNCTION(cuDriverGetVersion);
SDXL_SAME_FUNCTION(cuGetErrorName);
SDXL_SAME_FUNCTION(cuGetErrorString);
SDXL_SAME_FUNCTION(cuDeviceGetCount);
SDXL_SAME_FUNCTION(cuDeviceGet);
SDXL_SAME_FUNCTION(cuDeviceGetName);
SDXL_SAME_FUNCTION(cuDeviceGetAttribute);
SDXL_SAME_FUNCTION(cuDeviceTotalMem_v2);
SDXL_SAME_FUNCTION(cuDeviceGetUuid_v2);
SDXL_SAME_FUNCTION(cuDevicePrimaryCtxRetain);
SDXL_SAME_FUNCTION(cuDevicePrimaryCtxRelease_v2);
SDXL_SAME_FUNCTION(cuCtxSetCurrent);
SDXL_SAME_FUNCTION(cuMemGetInfo_v2);
SDXL_SAME_FUNCTION(cuMemAlloc_v2);
SDXL_SAME_FUNCTION(cuMemFree_v2);
SDXL_SAME_FUNCTION(cuMemHostAlloc);
SDXL_SAME_FUNCTION(cuMemFreeHost);
SDXL_SAME_FUNCTION(cuMemcpyHtoDAsync_v2);
SDXL_SAME_FUNCTION(cuMemcpyDtoHAsync_v2);
SDXL_SAME_FUNCTION(cuMemcpyDtoDAsync_v2);
SDXL_SAME_FUNCTION(cuMemsetD8Async);
SDXL_SAME_FUNCTION(cuStreamCreate);
SDXL_SAME_FUNCTION(cuStreamDestroy_v2);
SDXL_SAME_FUNCTION(cuStreamWaitEvent);
SDXL_SAME_FUNCTION(cuEventCreate);
SDXL_SAME_FUNCTION(cuEventDestroy_v2);
SDXL_SAME_FUNCTION(cuEventRecord);
SDXL_SAME_FUNCTION(cuEventQuery);
SDXL_SAME_FUNCTION(cuEventSynchronize);
SDXL_SAME_FUNCTION(cuEventElapsedTime);
SDXL_SAME_FUNCTION(cuModuleLoadData);
SDXL_SAME_FUNCTION(cuModuleUnload);
SDXL_SAME_FUNCTION(cuModuleGetFunction);
SDXL_SAME_FUNCTION(cuFuncSetAttribute);
SDXL_SAME_FUNCTION(cuLaunchKernel);
SDXL_SAME_FUNCTION(cuTensorMapEncodeTiled);
SDXL_SAME_FUNCTION(cuStreamBeginCapture_v2);
SDXL_SAME_FUNCTION(cuStreamEndCapture);
SDXL_SAME_FUNCTION(cuGraphInstantiateWithFlags);
SDXL_SAME_FUNCTION(cuGraphLaunch);
SDXL_SAME_FUNCTION(cuGraphExecDestroy);
SDXL_SAME_FUNCTION(cuGraphDestroy);

static_assert(result::kSuccess == CUDA_SUCCESS && result::kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY && result::kDeinitialized == CUDA_ERROR_DEINITIALIZED &&
              result::kDeviceUnavailable == CUDA_ERROR_DEVICE_UNAVAILABLE && result::kNoDevice == CUDA_ERROR_NO_DEVICE &&
              result::kInvalidDevice == CUDA_ERROR_INVALID_DEVICE && result::kInvalidImage == CUDA_ERROR_INVALID_IMAGE &&
              result::kNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU && result::kUncorrectableEcc == CUDA_ERROR_ECC_UNCORRECTABLE &&
              result::kUncorrectableNvlink == CUDA_ERROR_NVLINK_UNCORRECTABLE && result::kUnsupportedPtxVersion == CUDA_ERROR_UNSUPPORTED_PTX_VERSION &&
              result::kContained == CUDA_ERROR_CONTAINED && result::kNotFound == CUDA_ERROR_NOT_FOUND && result::kNotReady == CUDA_ERROR_NOT_READY &&
              result::kIllegalAddress == CUDA_ERROR_ILLEGAL_ADDRESS && result::kLaunchTimeout == CUDA_ERROR_LAUNCH_TIMEOUT &&
              result::kContextIsDestroyed == CUDA_ERROR_CONTEXT_IS_DESTROYED && result::kAssert == CUDA_ERROR_ASSERT &&
              result::kHardwareStackError == CUDA_ERROR_HARDWARE_STACK_ERROR && result::kIllegalInstruction == CUDA_ERROR_ILLEGAL_INSTRUCTION &&
              result::kMisalignedAddress == CUDA_ERROR_MISALIGNED_ADDRESS && result::kInvalidAddressSpace == CUDA_ERROR_INVALID_ADDRESS_SPACE &&
              result::kInvalidPc == CUDA_ERROR_INVALID_PC && result::kLaunchFailed == CUDA_ERROR_LAUNCH_FAILED &&
              result::kTensorMemoryLeak == CUDA_ERROR_TENSOR_MEMORY_LEAK && result::kSystemNotReady == CUDA_ERROR_SYSTEM_NOT_READY &&
              result::kSystemDriverMismatch == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH && result::kCompatNotSupported == CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE &&
              result::kExternalDevice == CUDA_ERROR_EXTERNAL_DEVICE && result::kUnknown == CUDA_ERROR_UNKNOWN);
static_assert(attribute::kMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT && attribute::kL2Bytes == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE &&
              attribute::kMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR && attribute::kMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR &&
              attribute::kSharedBytesOfBlock == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(kPortablePinned == CU_MEMHOSTALLOC_PORTABLE && kNonBlockingStream == CU_STREAM_NON_BLOCKING && kBlockingSync == CU_EVENT_BLOCKING_SYNC &&
              kDisableTiming == CU_EVENT_DISABLE_TIMING && kMaxDynamicSharedBytes == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES &&
              kCaptureThisThread == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
static_assert(kElements16 == CU_TENSOR_MAP_DATA_TYPE_UINT16 && kNoInterleave == CU_TENSOR_MAP_INTERLEAVE_NONE &&
              kSwizzle128Bytes == CU_TENSOR_MAP_SWIZZLE_128B && kPromote128Bytes == CU_TENSOR_MAP_L2_PROMOTION_L2_128B &&
              kFillZeros == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);

}  // namespace

}  // namespace sdxl::cuda
