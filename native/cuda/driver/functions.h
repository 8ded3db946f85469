// What we use of NVIDIA's driver, declared here so that no part of CUDA is needed to build. The names are those of the library's symbols;
// tools/check_declarations.cc compares all of this with cuda.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/kernels/tensor_map.h"

struct CUctx_st;
struct CUevent_st;
struct CUfunc_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUmod_st;
struct CUstream_st;

namespace sdxl::cuda {

using Result = int;
using DevicePointer = uint64_t;
using DeviceNumber = int;
struct Uuid {
  unsigned char bytes[16];
};

// CUresult
namespace result {
constexpr Result kSuccess = 0, kOutOfMemory = 2, kDeinitialized = 4, kDeviceUnavailable = 46, kNoDevice = 100, kInvalidDevice = 101, kInvalidImage = 200,
                 kNoBinaryForGpu = 209, kUncorrectableEcc = 214, kUncorrectableNvlink = 220, kUnsupportedPtxVersion = 222, kContained = 226, kNotFound = 500,
                 kNotReady = 600, kIllegalAddress = 700, kLaunchTimeout = 702, kContextIsDestroyed = 709, kAssert = 710, kHardwareStackError = 714,
                 kIllegalInstruction = 715, kMisalignedAddress = 716, kInvalidAddressSpace = 717, kInvalidPc = 718, kLaunchFailed = 719,
                 kTensorMemoryLeak = 721, kSystemNotReady = 802, kSystemDriverMismatch = 803, kCompatNotSupported = 804, kExternalDevice = 911, kUnknown = 999;
}

// CUdevice_attribute
namespace attribute {
constexpr int kMultiprocessors = 16, kL2Bytes = 38, kMajor = 75, kMinor = 76, kSharedBytesOfBlock = 97;
}

// Flags and other enumerations.
constexpr unsigned kPortablePinned = 1, kNonBlockingStream = 1, kBlockingSync = 1, kDisableTiming = 2;
constexpr int kMaxDynamicSharedBytes = 8, kCaptureThisThread = 1;
constexpr int kElements16 = 1, kNoInterleave = 0, kSwizzle128Bytes = 3, kPromote128Bytes = 2, kFillZeros = 0;

struct Functions {
  Result (*cuInit)(unsigned flags);
  Result (*cuDriverGetVersion)(int* version);
  Result (*cuGetErrorName)(Result, const char** name);
  Result (*cuGetErrorString)(Result, const char** text);

  Result (*cuDeviceGetCount)(int* count);
  Result (*cuDeviceGet)(DeviceNumber*, int index);
  Result (*cuDeviceGetName)(char* name, int bytes, DeviceNumber);
  Result (*cuDeviceGetAttribute)(int* value, int attribute, DeviceNumber);
  Result (*cuDeviceTotalMem_v2)(size_t* bytes, DeviceNumber);
  Result (*cuDeviceGetUuid_v2)(Uuid*, DeviceNumber);
  Result (*cuDevicePrimaryCtxRetain)(CUctx_st**, DeviceNumber);
  Result (*cuDevicePrimaryCtxRelease_v2)(DeviceNumber);
  Result (*cuCtxSetCurrent)(CUctx_st*);

  Result (*cuMemGetInfo_v2)(size_t* free, size_t* total);
  Result (*cuMemAlloc_v2)(DevicePointer*, size_t bytes);
  Result (*cuMemFree_v2)(DevicePointer);
  Result (*cuMemHostAlloc)(void** memory, size_t bytes, unsigned flags);
  Result (*cuMemFreeHost)(void* memory);
  Result (*cuMemcpyHtoDAsync_v2)(DevicePointer to, const void* from, size_t bytes, CUstream_st*);
  Result (*cuMemcpyDtoHAsync_v2)(void* to, DevicePointer from, size_t bytes, CUstream_st*);
  Result (*cuMemcpyDtoDAsync_v2)(DevicePointer to, DevicePointer from, size_t bytes, CUstream_st*);
  Result (*cuMemsetD8Async)(DevicePointer to, unsigned char value, size_t bytes, CUstream_st*);

  Result (*cuStreamCreate)(CUstream_st**, unsigned flags);
  Result (*cuStreamDestroy_v2)(CUstream_st*);
  Result (*cuStreamWaitEvent)(CUstream_st*, CUevent_st*, unsigned flags);
  Result (*cuEventCreate)(CUevent_st**, unsigned flags);
  Result (*cuEventDestroy_v2)(CUevent_st*);
  Result (*cuEventRecord)(CUevent_st*, CUstream_st*);
  Result (*cuEventQuery)(CUevent_st*);
  Result (*cuEventSynchronize)(CUevent_st*);
  Result (*cuEventElapsedTime)(float* milliseconds, CUevent_st* start, CUevent_st* end);

  Result (*cuModuleLoadData)(CUmod_st**, const void* image);
  Result (*cuModuleUnload)(CUmod_st*);
  Result (*cuModuleGetFunction)(CUfunc_st**, CUmod_st*, const char* name);
  Result (*cuFuncSetAttribute)(CUfunc_st*, int attribute, int value);
  Result (*cuLaunchKernel)(CUfunc_st*, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                           unsigned shared_bytes, CUstream_st*, void** parameters, void** extra);

  Result (*cuTensorMapEncodeTiled)(TensorMap*, int element, uint32_t dimensions, void* data, const uint64_t* sizes, const uint64_t* strides,
                                   const uint32_t* box, const uint32_t* steps, int interleave, int swizzle, int promotion, int fill);

  Result (*cuStreamBeginCapture_v2)(CUstream_st*, int mode);
  Result (*cuStreamEndCapture)(CUstream_st*, CUgraph_st**);
  Result (*cuGraphInstantiateWithFlags)(CUgraphExec_st**, CUgraph_st*, unsigned long long flags);
  Result (*cuGraphLaunch)(CUgraphExec_st*, CUstream_st*);
  Result (*cuGraphExecDestroy)(CUgraphExec_st*);
  Result (*cuGraphDestroy)(CUgraph_st*);
};

// Calls visit("cuInit", f.cuInit) and so on for every function.
template <class F, class Visit>
void for_each_function(F& f, const Visit& visit) {
  visit("cuInit", f.cuInit);
  visit("cuDriverGetVersion", f.cuDriverGetVersion);
  visit("cuGetErrorName", f.cuGetErrorName);
  visit("cuGetErrorString", f.cuGetErrorString);
  visit("cuDeviceGetCount", f.cuDeviceGetCount);
  visit("cuDeviceGet", f.cuDeviceGet);
  visit("cuDeviceGetName", f.cuDeviceGetName);
  visit("cuDeviceGetAttribute", f.cuDeviceGetAttribute);
  visit("cuDeviceTotalMem_v2", f.cuDeviceTotalMem_v2);
  visit("cuDeviceGetUuid_v2", f.cuDeviceGetUuid_v2);
  visit("cuDevicePrimaryCtxRetain", f.cuDevicePrimaryCtxRetain);
  visit("cuDevicePrimaryCtxRelease_v2", f.cuDevicePrimaryCtxRelease_v2);
  visit("cuCtxSetCurrent", f.cuCtxSetCurrent);
  visit("cuMemGetInfo_v2", f.cuMemGetInfo_v2);
  visit("cuMemAlloc_v2", f.cuMemAlloc_v2);
  visit("cuMemFree_v2", f.cuMemFree_v2);
  visit("cuMemHostAlloc", f.cuMemHostAlloc);
  visit("cuMemFreeHost", f.cuMemFreeHost);
  visit("cuMemcpyHtoDAsync_v2", f.cuMemcpyHtoDAsync_v2);
  visit("cuMemcpyDtoHAsync_v2", f.cuMemcpyDtoHAsync_v2);
  visit("cuMemcpyDtoDAsync_v2", f.cuMemcpyDtoDAsync_v2);
  visit("cuMemsetD8Async", f.cuMemsetD8Async);
  visit("cuStreamCreate", f.cuStreamCreate);
  visit("cuStreamDestroy_v2", f.cuStreamDestroy_v2);
  visit("cuStreamWaitEvent", f.cuStreamWaitEvent);
  visit("cuEventCreate", f.cuEventCreate);
  visit("cuEventDestroy_v2", f.cuEventDestroy_v2);
  visit("cuEventRecord", f.cuEventRecord);
  visit("cuEventQuery", f.cuEventQuery);
  visit("cuEventSynchronize", f.cuEventSynchronize);
  visit("cuEventElapsedTime", f.cuEventElapsedTime);
  visit("cuModuleLoadData", f.cuModuleLoadData);
  visit("cuModuleUnload", f.cuModuleUnload);
  visit("cuModuleGetFunction", f.cuModuleGetFunction);
  visit("cuFuncSetAttribute", f.cuFuncSetAttribute);
  visit("cuLaunchKernel", f.cuLaunchKernel);
  visit("cuTensorMapEncodeTiled", f.cuTensorMapEncodeTiled);
  visit("cuStreamBeginCapture_v2", f.cuStreamBeginCapture_v2);
  visit("cuStreamEndCapture", f.cuStreamEndCapture);
  visit("cuGraphInstantiateWithFlags", f.cuGraphInstantiateWithFlags);
  visit("cuGraphLaunch", f.cuGraphLaunch);
  visit("cuGraphExecDestroy", f.cuGraphExecDestroy);
  visit("cuGraphDestroy", f.cuGraphDestroy);
}

}  // namespace sdxl::cuda
