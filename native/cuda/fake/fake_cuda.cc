#include "cuda/fake/fake_cuda.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "cuda/emulator/engine.h"
#include "cuda/emulator/fault.h"
#include "cuda/emulator/global_memory.h"
#include "cuda/emulator/registry.h"

using namespace sdxl::cuda;  // NOLINT: everything below has the driver's own global names

struct CUctx_st {
  int gpu;
};
struct CUmod_st {};
struct CUfunc_st {
  const sdxl::emulator::Kernel* kernel;
  unsigned shared_allowed;
};
struct Work {
  std::function<void()> run;
  std::function<bool()> early = [] { return false; };  // whether it may be done before somebody waits for it
};
struct CUgraph_st {
  std::vector<Work> work;
};
struct CUgraphExec_st {
  std::vector<Work> work;
};
struct CUstream_st {
  std::deque<Work> queue;
  size_t done = 0;    // how many pieces of work ever
  bool busy = false;  // with one of them
  std::unique_ptr<CUgraph_st> recording;
};
struct CUevent_st {
  bool timed;
  CUstream_st* stream = nullptr;
  size_t place = 0;  // reached when the stream has done so much
};

namespace {

constexpr Result kInvalidValue = 1, kInvalidContext = 201, kInvalidHandle = 400, kCaptureUnsupported = 900;
constexpr int kNoSuchHandle = 6;  // of the management library

class Driver final : public FakeCuda {
 public:
  int64_t live() const override {
    return int64_t(memory.size() + pinned.size() + streams.size() + events.size() + modules.size() + graphs.size() + executables.size()) + retained + managed;
  }
  void reset() override {
    version = 12040;
    gpus = {{}};
    failures.clear();
    calls.clear();
    last_fault.clear();
    sticky = result::kSuccess;
    used = most_used = 0;
    pinnable = SIZE_MAX;
    early_uploads = false;
  }
  size_t peak() const override { return most_used; }

  std::mutex mutex;
  Result sticky = result::kSuccess;
  size_t used = 0, most_used = 0;
  int retained = 0, managed = 0;
  CUctx_st contexts[8] = {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}};
  std::map<DevicePointer, size_t> memory;
  std::map<void*, size_t> pinned;
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;
  std::map<CUmod_st*, std::map<std::string, CUfunc_st>> modules;
  std::set<CUgraph_st*> graphs;
  std::set<CUgraphExec_st*> executables;
};

// Lives as long as the process: other objects may be destroyed behind it.
Driver& driver() {
  static Driver& one = *new Driver;
  return one;
}
thread_local CUctx_st* current = nullptr;

void read_failures(FakeCuda& d) {
  static const char* const path = std::getenv("FAKE_CUDA_FAILURES");
  if (!path || access(path, F_OK) != 0) return;
  std::ifstream file(path);
  std::string function;
  for (FakeCuda::Failure failure{}; file >> function >> failure.result >> failure.after >> failure.times;) d.failures[function] = failure;
  std::remove(path);
}

enum class Needs { nothing, context };

// What every function does first: takes note, fails where a test wants it to, and holds the lock while `body` runs.
template <class Body>
Result call(const char* name, Needs needs, const Body& body) {
  Driver& d = driver();
  const std::lock_guard lock(d.mutex);
  d.calls.push_back(name);
  read_failures(d);
  if (d.sticky != result::kSuccess) return d.sticky;
  if (const auto failure = d.failures.find(name); failure != d.failures.end() && failure->second.after-- <= 0) {
    const Result r = failure->second.result;
    if (--failure->second.times <= 0) d.failures.erase(failure);
    if (r == result::kIllegalAddress || r == result::kLaunchFailed) d.sticky = r;
    return r;
  }
  if (needs == Needs::context && !current) return kInvalidContext;
  return body(d);
}

// The same for what destroys: it works after a crash too, so that tests can see what leaks.
template <class Body>
Result release(const char* name, const Body& body) {
  Driver& d = driver();
  const std::lock_guard lock(d.mutex);
  d.calls.push_back(name);
  return body(d);
}

bool in_memory(const Driver& d, DevicePointer p, size_t bytes) {
  auto it = d.memory.upper_bound(p);
  return it != d.memory.begin() && p + bytes <= (--it)->first + it->second;
}
bool in_pinned(const Driver& d, const void* p, size_t bytes) {
  auto it = d.pinned.upper_bound(const_cast<void*>(p));
  return it != d.pinned.begin() && static_cast<const char*>(p) + bytes <= static_cast<char*>((--it)->first) + it->second;
}
void* host(DevicePointer p) { return reinterpret_cast<void*>(p); }

size_t whole_pages(size_t bytes) {
  static const size_t page = size_t(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}
// With a page behind it that is never opened: two allocations do not touch.
size_t mapped(size_t bytes) { return whole_pages(bytes) + whole_pages(1); }
void permit(DevicePointer p, size_t bytes, int access) {
  if (mprotect(host(p), whole_pages(bytes), access) == 0) return;
  std::perror("the fake driver cannot protect device memory");
  std::abort();
}

// Device memory can be touched while one of these lives, so by queued work alone. Under the driver's mutex.
class Opened {
 public:
  Opened() {
    if (count++ == 0) permit_all(PROT_READ | PROT_WRITE);
  }
  ~Opened() {
    if (--count == 0) permit_all(PROT_NONE);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  static void permit_all(int access) {
    for (const auto& [p, bytes] : driver().memory) permit(p, bytes, access);
  }
  static inline int count = 0;  // a stream's work may have another's run first
};

void run_next(CUstream_st* stream) {
  const auto work = std::move(stream->queue.front());
  stream->queue.pop_front();
  ++stream->done;
  stream->busy = true;
  if (driver().sticky == result::kSuccess) work.run();
  stream->busy = false;
}

// What may be done at once and comes behind nothing that waits.
void run_early(Driver& d) {
  if (!d.early_uploads) return;
  for (CUstream_st* stream : d.streams)
    while (!stream->busy && !stream->queue.empty() && stream->queue.front().early()) {
      const Opened opened;
      run_next(stream);
    }
}

void run_until(CUstream_st* stream, size_t place) {
  if (stream->done >= place) return;
  const Opened opened;
  while (stream->done < place) {
    run_next(stream);
    run_early(driver());
  }
}
void run_all(CUstream_st* stream) { run_until(stream, stream->done + stream->queue.size()); }

Result enqueue(Driver& d, CUstream_st* stream, Work work) {
  if (!d.streams.contains(stream)) return kInvalidHandle;
  if (stream->recording) stream->recording->work.push_back(std::move(work));
  else {
    stream->queue.push_back(std::move(work));
    run_early(d);
  }
  return result::kSuccess;
}
Result enqueue(Driver& d, CUstream_st* stream, std::function<void()> run) { return enqueue(d, stream, Work{.run = std::move(run)}); }

template <class T, class Set>
Result destroy(Set& set, T* object) {
  if (!set.erase(object)) return kInvalidHandle;
  delete object;
  return result::kSuccess;
}

// Not while a stream of this thread records: the real driver would give up the recording.
bool recording(const Driver& d) {
  for (const CUstream_st* stream : d.streams)
    if (stream->recording) return true;
  return false;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

FakeCuda* fake_cuda() { return &driver(); }

Result cuInit(unsigned) {
  return call("cuInit", Needs::nothing, [](Driver& d) { return d.gpus.empty() ? result::kNoDevice : result::kSuccess; });
}
Result cuDriverGetVersion(int* version) {
  return call("cuDriverGetVersion", Needs::nothing, [&](Driver& d) { return *version = d.version, result::kSuccess; });
}
Result cuGetErrorName(Result r, const char** name) {
  *name = r == result::kOutOfMemory      ? "CUDA_ERROR_OUT_OF_MEMORY"
          : r == result::kIllegalAddress ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : r == result::kUnknown        ? "CUDA_ERROR_UNKNOWN"
          : r == kInvalidValue           ? "CUDA_ERROR_INVALID_VALUE"
                                         : nullptr;
  return *name ? result::kSuccess : kInvalidValue;
}
Result cuGetErrorString(Result, const char** text) { return *text = "some words", result::kSuccess; }

Result cuDeviceGetCount(int* count) {
  return call("cuDeviceGetCount", Needs::nothing, [&](Driver& d) { return *count = int(d.gpus.size()), result::kSuccess; });
}
Result cuDeviceGet(DeviceNumber* number, int index) {
  return call("cuDeviceGet", Needs::nothing, [&](Driver& d) {
    if (index < 0 || index >= int(d.gpus.size())) return result::kInvalidDevice;
    return *number = index, result::kSuccess;
  });
}
Result cuDeviceGetName(char* name, int bytes, DeviceNumber number) {
  return call("cuDeviceGetName", Needs::nothing,
              [&](Driver& d) { return std::snprintf(name, size_t(bytes), "%s", d.gpus[size_t(number)].name.c_str()), result::kSuccess; });
}
Result cuDeviceGetAttribute(int* value, int attribute, DeviceNumber number) {
  return call("cuDeviceGetAttribute", Needs::nothing, [&](Driver& d) {
    const FakeGpu& gpu = d.gpus[size_t(number)];
    switch (attribute) {
      case attribute::kMajor: *value = gpu.major; break;
      case attribute::kMinor: *value = gpu.minor; break;
      case attribute::kMultiprocessors: *value = 84; break;
      case attribute::kL2Bytes: *value = 6 << 20; break;
      case attribute::kSharedBytesOfBlock: *value = gpu.shared_bytes; break;
      default: return kInvalidValue;
    }
    return result::kSuccess;
  });
}
Result cuDeviceTotalMem_v2(size_t* bytes, DeviceNumber number) {
  return call("cuDeviceTotalMem_v2", Needs::nothing, [&](Driver& d) { return *bytes = d.gpus[size_t(number)].memory, result::kSuccess; });
}
Result cuDeviceGetUuid_v2(Uuid* uuid, DeviceNumber number) {
  return call("cuDeviceGetUuid_v2", Needs::nothing, [&](Driver&) {
    *uuid = {{0xfa, 0xce}};
    uuid->bytes[15] = static_cast<unsigned char>(number);
    return result::kSuccess;
  });
}
Result cuDevicePrimaryCtxRetain(CUctx_st** context, DeviceNumber number) {
  return call("cuDevicePrimaryCtxRetain", Needs::nothing, [&](Driver& d) { return ++d.retained, *context = &d.contexts[number], result::kSuccess; });
}
Result cuDevicePrimaryCtxRelease_v2(DeviceNumber) {
  return release("cuDevicePrimaryCtxRelease_v2", [&](Driver& d) { return --d.retained, result::kSuccess; });
}
Result cuCtxSetCurrent(CUctx_st* context) {
  return call("cuCtxSetCurrent", Needs::nothing, [&](Driver&) { return current = context, result::kSuccess; });
}

Result cuMemGetInfo_v2(size_t* free, size_t* total) {
  return call("cuMemGetInfo_v2", Needs::context, [&](Driver& d) {
    *total = d.gpus[size_t(current->gpu)].memory;
    *free = *total - d.used;
    return result::kSuccess;
  });
}
Result cuMemAlloc_v2(DevicePointer* pointer, size_t bytes) {
  return call("cuMemAlloc_v2", Needs::context, [&](Driver& d) {
    if (bytes == 0) return kInvalidValue;
    if (recording(d)) return kCaptureUnsupported;
    if (d.used + bytes > d.gpus[size_t(current->gpu)].memory) return result::kOutOfMemory;
    void* memory = mmap(nullptr, mapped(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return result::kOutOfMemory;
    *pointer = reinterpret_cast<DevicePointer>(memory);
    permit(*pointer, bytes, PROT_READ | PROT_WRITE);
    std::memset(memory, 0xA5, std::min<size_t>(bytes, 1 << 20));  // never zero: what is read before it is written must show
    permit(*pointer, bytes, PROT_NONE);
    sdxl::emulator::add_buffer(memory, bytes, true);
    d.memory[*pointer] = bytes;
    d.most_used = std::max(d.most_used, d.used += bytes);
    return result::kSuccess;
  });
}
Result cuMemFree_v2(DevicePointer pointer) {
  return release("cuMemFree_v2", [&](Driver& d) {
    const auto it = d.memory.find(pointer);
    if (it == d.memory.end()) return kInvalidValue;
    for (CUstream_st* stream : d.streams) run_all(stream);  // the real one waits as well
    sdxl::emulator::remove_buffer(host(pointer));
    munmap(host(pointer), mapped(it->second));
    d.used -= it->second;
    d.memory.erase(it);
    return d.sticky;
  });
}
Result cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
  return call("cuMemHostAlloc", Needs::context, [&](Driver& d) {
    size_t held = 0;
    for (const auto& [address, size] : d.pinned) held += size;
    if (bytes > d.pinnable - std::min(held, d.pinnable)) return result::kOutOfMemory;
    *memory = std::malloc(bytes);
    d.pinned[*memory] = bytes;
    return result::kSuccess;
  });
}
Result cuMemFreeHost(void* memory) {
  return release("cuMemFreeHost", [&](Driver& d) {
    if (!d.pinned.erase(memory)) return kInvalidValue;
    std::free(memory);
    return d.sticky;
  });
}
Result cuMemcpyHtoDAsync_v2(DevicePointer to, const void* from, size_t bytes, CUstream_st* stream) {
  return call("cuMemcpyHtoDAsync_v2", Needs::context, [&](Driver& d) {
    if (!in_memory(d, to, bytes) || !in_pinned(d, from, bytes)) return kInvalidValue;
    const auto copy = [=] {
      Driver& now = driver();
      if (in_pinned(now, from, bytes)) std::memcpy(host(to), from, bytes);
      else now.last_fault = "a copy from memory of the host that has been freed", now.sticky = result::kIllegalAddress;
    };
    return enqueue(d, stream, Work{.run = copy, .early = [] { return true; }});
  });
}
Result cuMemcpyDtoHAsync_v2(void* to, DevicePointer from, size_t bytes, CUstream_st* stream) {
  return call("cuMemcpyDtoHAsync_v2", Needs::context, [&](Driver& d) {
    if (!in_memory(d, from, bytes) || !in_pinned(d, to, bytes)) return kInvalidValue;
    return enqueue(d, stream, [=] { std::memcpy(to, host(from), bytes); });
  });
}
Result cuMemcpyDtoDAsync_v2(DevicePointer to, DevicePointer from, size_t bytes, CUstream_st* stream) {
  return call("cuMemcpyDtoDAsync_v2", Needs::context, [&](Driver& d) {
    if (!in_memory(d, to, bytes) || !in_memory(d, from, bytes)) return kInvalidValue;
    return enqueue(d, stream, [=] { std::memmove(host(to), host(from), bytes); });
  });
}
Result cuMemsetD8Async(DevicePointer to, unsigned char value, size_t bytes, CUstream_st* stream) {
  return call("cuMemsetD8Async", Needs::context, [&](Driver& d) {
    if (!in_memory(d, to, bytes)) return kInvalidValue;
    return enqueue(d, stream, [=] { std::memset(host(to), value, bytes); });
  });
}

Result cuStreamCreate(CUstream_st** stream, unsigned) {
  return call("cuStreamCreate", Needs::context, [&](Driver& d) { return d.streams.insert(*stream = new CUstream_st), result::kSuccess; });
}
Result cuStreamDestroy_v2(CUstream_st* stream) {
  return release("cuStreamDestroy_v2", [&](Driver& d) {
    if (!d.streams.contains(stream)) return kInvalidHandle;
    run_all(stream);
    for (CUevent_st* event : d.events)
      if (event->stream == stream) event->stream = nullptr;
    return destroy(d.streams, stream);
  });
}
Result cuStreamWaitEvent(CUstream_st* stream, CUevent_st* event, unsigned) {
  return call("cuStreamWaitEvent", Needs::context, [&](Driver& d) {
    if (!d.events.contains(event)) return kInvalidHandle;
    CUstream_st* const other = event->stream;
    const size_t place = event->place;
    const auto reached = [=] { return !other || !driver().streams.contains(other) || other->done >= place; };
    const auto wait = [=] {
      if (!reached()) run_until(other, place);
    };
    return enqueue(d, stream, Work{.run = wait, .early = reached});
  });
}
Result cuEventCreate(CUevent_st** event, unsigned flags) {
  return call("cuEventCreate", Needs::context,
              [&](Driver& d) { return d.events.insert(*event = new CUevent_st{.timed = !(flags & kDisableTiming)}), result::kSuccess; });
}
Result cuEventDestroy_v2(CUevent_st* event) {
  return release("cuEventDestroy_v2", [&](Driver& d) { return destroy(d.events, event); });
}
Result cuEventRecord(CUevent_st* event, CUstream_st* stream) {
  return call("cuEventRecord", Needs::context, [&](Driver& d) {
    if (!d.events.contains(event) || !d.streams.contains(stream)) return kInvalidHandle;
    event->stream = stream;
    event->place = stream->done + stream->queue.size();
    return result::kSuccess;
  });
}
Result cuEventQuery(CUevent_st* event) {
  return call("cuEventQuery", Needs::context, [&](Driver& d) {
    if (!d.events.contains(event)) return kInvalidHandle;
    return event->stream && event->stream->done < event->place ? result::kNotReady : result::kSuccess;
  });
}
Result cuEventSynchronize(CUevent_st* event) {
  return call("cuEventSynchronize", Needs::context, [&](Driver& d) {
    if (!d.events.contains(event)) return kInvalidHandle;
    if (recording(d)) return kCaptureUnsupported;
    if (event->stream) run_until(event->stream, event->place);
    return d.sticky;
  });
}
Result cuEventElapsedTime(float* milliseconds, CUevent_st* start, CUevent_st* end) {
  return call("cuEventElapsedTime", Needs::context, [&](Driver&) {
    if (!start->timed || !end->timed) return kInvalidHandle;
    return *milliseconds = float(end->place - start->place), result::kSuccess;  // a millisecond for each piece of work
  });
}

Result cuModuleLoadData(CUmod_st** module, const void* image) {
  return call("cuModuleLoadData", Needs::context, [&](Driver& d) {
    const FakeGpu& gpu = d.gpus[size_t(current->gpu)];
    int number = 0;
    if (std::sscanf(static_cast<const char*>(image), "sm_%d", &number) != 1) return result::kInvalidImage;
    if (number / 10 != gpu.major || number % 10 > gpu.minor) return result::kNoBinaryForGpu;
    d.modules[*module = new CUmod_st];
    return result::kSuccess;
  });
}
Result cuModuleUnload(CUmod_st* module) {
  return release("cuModuleUnload", [&](Driver& d) {
    if (!d.modules.erase(module)) return kInvalidHandle;
    delete module;
    return d.sticky;
  });
}
Result cuModuleGetFunction(CUfunc_st** function, CUmod_st* module, const char* name) {
  return call("cuModuleGetFunction", Needs::context, [&](Driver& d) {
    const sdxl::emulator::Kernel* kernel = sdxl::emulator::find_kernel(name);
    if (!kernel) return result::kNotFound;
    *function = &(d.modules.at(module)[name] = {kernel, 48 << 10});
    return result::kSuccess;
  });
}
Result cuFuncSetAttribute(CUfunc_st* function, int attribute, int value) {
  return call("cuFuncSetAttribute", Needs::context, [&](Driver& d) {
    if (attribute != kMaxDynamicSharedBytes || value > d.gpus[size_t(current->gpu)].shared_bytes) return kInvalidValue;
    return function->shared_allowed = unsigned(value), result::kSuccess;
  });
}
Result cuLaunchKernel(CUfunc_st* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                      unsigned shared_bytes, CUstream_st* stream, void** parameters, void**) {
  return call("cuLaunchKernel", Needs::context, [&](Driver& d) {
    const sdxl::emulator::Kernel kernel = *function->kernel;
    if (shared_bytes > function->shared_allowed || block_x != kernel.threads || block_y != 1 || block_z != 1) return kInvalidValue;
    const std::shared_ptr<void> copy(std::aligned_alloc(64, (kernel.parameter_bytes + 63) / 64 * 64), std::free);
    std::memcpy(copy.get(), parameters[0], kernel.parameter_bytes);
    return enqueue(d, stream, [=] {
      try {
        sdxl::emulator::launch(kernel.name, {grid_x, grid_y, grid_z}, shared_bytes, copy.get(), kernel.parameter_bytes);
      } catch (const std::exception& fault) {
        driver().last_fault = fault.what();
        driver().sticky = result::kIllegalAddress;
      }
    });
  });
}

Result cuTensorMapEncodeTiled(TensorMap* map, int element, uint32_t dimensions, void* data, const uint64_t* sizes, const uint64_t* strides, const uint32_t* box,
                              const uint32_t* steps, int interleave, int swizzle, int promotion, int fill) {
  return call("cuTensorMapEncodeTiled", Needs::nothing, [&](Driver&) {
    if (element != kElements16 || interleave != kNoInterleave || swizzle != kSwizzle128Bytes || promotion != kPromote128Bytes || fill != kFillZeros ||
        dimensions < 1 || dimensions > uint32_t(TensorBox::kMost))
      return kInvalidValue;
    TensorBox tensor{.data = data, .dimensions = int32_t(dimensions), .sizes = {}, .strides = {2}, .box = {}};
    for (uint32_t i = 0; i < dimensions; ++i) {
      if (steps[i] != 1) return kInvalidValue;
      tensor.sizes[i] = int64_t(sizes[i]);
      tensor.box[i] = int32_t(box[i]);
      if (i > 0) tensor.strides[i] = int64_t(strides[i - 1]);
    }
    try {
      *map = sdxl::emulator::encode(tensor);
    } catch (const sdxl::emulator::Fault&) {
      return kInvalidValue;
    }
    return result::kSuccess;
  });
}

Result cuStreamBeginCapture_v2(CUstream_st* stream, int) {
  return call("cuStreamBeginCapture_v2", Needs::context, [&](Driver& d) {
    if (!d.streams.contains(stream) || stream->recording) return kInvalidHandle;
    stream->recording = std::make_unique<CUgraph_st>();
    return result::kSuccess;
  });
}
Result cuStreamEndCapture(CUstream_st* stream, CUgraph_st** graph) {
  return call("cuStreamEndCapture", Needs::context, [&](Driver& d) {
    if (!stream->recording) return kInvalidHandle;
    d.graphs.insert(*graph = stream->recording.release());
    return result::kSuccess;
  });
}
Result cuGraphInstantiateWithFlags(CUgraphExec_st** executable, CUgraph_st* graph, unsigned long long) {
  return call("cuGraphInstantiateWithFlags", Needs::context,
              [&](Driver& d) { return d.executables.insert(*executable = new CUgraphExec_st{graph->work}), result::kSuccess; });
}
Result cuGraphLaunch(CUgraphExec_st* executable, CUstream_st* stream) {
  return call("cuGraphLaunch", Needs::context, [&](Driver& d) {
    if (!d.executables.contains(executable)) return kInvalidHandle;
    for (const auto& work : executable->work)
      if (const Result r = enqueue(d, stream, work); r != result::kSuccess) return r;
    return result::kSuccess;
  });
}
Result cuGraphExecDestroy(CUgraphExec_st* executable) {
  return release("cuGraphExecDestroy", [&](Driver& d) { return destroy(d.executables, executable); });
}
Result cuGraphDestroy(CUgraph_st* graph) {
  return release("cuGraphDestroy", [&](Driver& d) { return destroy(d.graphs, graph); });
}

int nvmlInit_v2() {
  return call("nvmlInit_v2", Needs::nothing, [](Driver& d) { return ++d.managed, 0; });
}
int nvmlShutdown() {
  return call("nvmlShutdown", Needs::nothing, [](Driver& d) { return --d.managed, 0; });
}
int nvmlDeviceGetHandleByUUID(const char* uuid, void** handle) {
  return call("nvmlDeviceGetHandleByUUID", Needs::nothing, [&](Driver& d) {
    for (FakeGpu& gpu : d.gpus) {
      char own[64];
      std::snprintf(own, sizeof own, "%s-face0000-0000-0000-0000-0000000000%02x", gpu.partition ? "MIG" : "GPU", unsigned(&gpu - d.gpus.data()));
      if (std::strcmp(own, uuid) == 0) return *handle = &gpu, 0;
    }
    return kNoSuchHandle;
  });
}
struct nvmlMemory_st {
  unsigned long long total, free, used;
};
int nvmlDeviceGetMemoryInfo(void* handle, nvmlMemory_st* memory) {
  return call("nvmlDeviceGetMemoryInfo", Needs::nothing, [&](Driver& d) {
    const size_t total = static_cast<FakeGpu*>(handle)->memory;
    return *memory = {total, total - d.used, d.used}, 0;
  });
}

}  // extern "C"
#pragma GCC visibility pop
