// The driver layer on a libcuda that does as it is told, see cuda/fake/fake_cuda.h.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>

#include "cuda/driver/device.h"
#include "cuda/driver/memory.h"
#include "cuda/driver/modules.h"
#include "cuda/driver/stream.h"
#include "cuda/driver/tensor_map.h"
#include "cuda/launch/elementwise.h"
#include "cuda/test/fake_gpu.h"
#include "test/check.h"

namespace sdxl::test {

namespace {

using namespace sdxl::cuda;  // NOLINT: everything here is its

const std::vector<std::string> kAllArchitectures = {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120"};

std::vector<std::string> cubins_of(const std::string& file, const std::vector<std::string>& architectures = kAllArchitectures) {
  std::vector<std::string> names;
  for (const std::string& a : architectures) names.push_back(file + "." + a);
  return names;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Detail detail(const Error& error, const std::string& key) {
  for (const auto& [name, value] : error.details)
    if (name == key) return value;
  return std::string("no such detail");
}

// Whether a process that does this is ended for touching what it may not.
template <class Body>
bool is_fatal(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    for (const int signal : {SIGSEGV, SIGBUS}) std::signal(signal, SIG_DFL);  // sanitizers have handlers of their own
    body();
    _exit(0);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
  return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

// A GPU ready for work, and what it is made of.
struct Gpu {
  FakeCuda& fake = fake_cuda();
  Library library{SDXL_FAKE_CUDA};
  Context context{library, 0};
};

// fp32 values on the GPU.
Array upload(Gpu& gpu, Arena& memory, Stream& stream, const std::vector<float>& values) {
  PinnedMemory pinned(gpu.context, values.size() * sizeof(float));
  std::memcpy(pinned.data(), values.data(), pinned.bytes());
  Array block = memory.take({int64_t(pinned.bytes())}, DType::u8);
  stream.upload(block.address(), pinned.data(), pinned.bytes());
  stream.finish();
  return block;
}
std::vector<float> download(Gpu& gpu, Stream& stream, const Array& block) {
  PinnedMemory pinned(gpu.context, size_t(block.bytes()));
  stream.download(pinned.data(), block.address(), size_t(block.bytes()));
  stream.finish();
  std::vector<float> values(size_t(block.bytes()) / sizeof(float));
  std::memcpy(values.data(), pinned.data(), size_t(block.bytes()));
  return values;
}

Launch transpose(const Array& x, const Array& y, int64_t pixels, int64_t channels) {
  return launch_of(Transpose{false, static_cast<const float*>(x.address()), static_cast<float*>(y.address()), 1, pixels, channels});
}

}  // namespace

TEST("cuda driver: what is missing is said, with what to do") {
  FakeCuda& fake = fake_cuda();
  const auto reason = [&](const std::string& path = SDXL_FAKE_CUDA) {
    const Error error = ERROR_OF(Library(path).version());
    CHECK(error.code == Code::device_unavailable);
    CHECK(detail(error, "device") == Detail("cuda"));
    return error.message;
  };
  CHECK(has(reason("libcuda-that-is-not-there.so.1"), "there is no NVIDIA driver"));
  CHECK(has(reason("libm.so.6"), "too old, it has no cuInit: install NVIDIA driver 525 or newer"));
  fake.version = 11080;
  CHECK(has(reason(), "supports CUDA 11.8 and 12.0 is needed: install NVIDIA driver 525"));
  fake.reset();
  fake.gpus.clear();
  setenv("CUDA_VISIBLE_DEVICES", "7", 1);
  CHECK(has(reason(), "finds no GPU (CUDA_VISIBLE_DEVICES is \"7\")"));
  unsetenv("CUDA_VISIBLE_DEVICES");
  CHECK(has(reason(), "--gpus all"));
  for (const auto& [failure, advice] : {std::pair{result::kSystemDriverMismatch, "restart"},
                                        {result::kSystemNotReady, "nvidia-fabricmanager"},
                                        {result::kUnknown, "nvidia_uvm"},
                                        {result::kCompatNotSupported, "forward compatibility"},
                                        {result::kOutOfMemory, "nvidia-smi"}}) {
    fake.reset();
    fake.failures["cuInit"] = {failure};
    CHECK(has(reason(), advice));
    // As after an error that lasts: nothing else may call the driver then.
    CHECK(fake.calls.back() == "cuInit");
  }
  fake.reset();
  CHECK(Library(SDXL_FAKE_CUDA).version() == 12040);
}

TEST("cuda driver: devices and what they can run") {
  FakeCuda& fake = fake_cuda();
  fake.gpus = {{"Small GPU", 8, 6, size_t(8) << 30}, {"Old GPU", 7, 5, size_t(4) << 30}, {"Large GPU", 9, 0, size_t(140) << 30}};
  const Library library(SDXL_FAKE_CUDA);
  const Device second = device(library, 2);
  CHECK(second.id() == "cuda:2" && second.name == "Large GPU" && second.capability.text() == "9.0" && second.memory == int64_t(140) << 30);
  CHECK(second.multiprocessors == 84 && second.shared_bytes == 99 << 10 && second.l2_bytes == 6 << 20);
  const Error none = ERROR_OF(device(library, 3));
  CHECK(none.code == Code::device_unavailable && has(none.message, "there is no cuda:3: this machine has 3 NVIDIA GPUs"));
  CHECK(ERROR_OF(device(library, -1)).code == Code::device_unavailable);

  const CubinFolder folder(cubins_of("layout"));
  const auto reports = report_devices(SDXL_FAKE_CUDA, folder.path(), SDXL_FAKE_CUDA);
  CHECK(reports.size() == 3);
  CHECK(reports[0].id == "cuda:0" && reports[0].reason.empty() && reports[0].memory == int64_t(8) << 30);
  CHECK((reports[0].features == std::vector<std::string>{"compute 8.6", "CUDA 12.4", "sm_86"}));
  CHECK(has(reports[1].reason, "no kernels for a GPU of compute capability 7.5") && has(reports[1].reason, "sm_80"));
  CHECK(reports[2].features.back() == "sm_90a");
  CHECK(fake.calls_of("cuDevicePrimaryCtxRetain") == 0);  // a list costs no GPU anything

  for (const DeviceReport& report : reports) CHECK(report.free_memory == report.memory);
  CHECK(fake.live() == 0);  // the management library was let go too
  fake.gpus[0].partition = true;
  CHECK(report_devices(SDXL_FAKE_CUDA, folder.path(), SDXL_FAKE_CUDA)[0].free_memory == int64_t(8) << 30);
  fake.failures["nvmlDeviceGetMemoryInfo"] = {result::kUnknown};
  const auto untold = report_devices(SDXL_FAKE_CUDA, folder.path(), SDXL_FAKE_CUDA);
  CHECK(!untold[0].free_memory && untold[0].reason.empty() && untold[1].free_memory);
  fake.failures["nvmlInit_v2"] = {result::kUnknown};
  for (const auto& report : report_devices(SDXL_FAKE_CUDA, folder.path(), SDXL_FAKE_CUDA)) CHECK(!report.free_memory && report.memory > 0);
  for (const auto& report : report_devices(SDXL_FAKE_CUDA, folder.path(), "libnvidia-ml-that-is-not-there.so.1")) CHECK(!report.free_memory);
  CHECK(fake.live() == 0);

  const CubinFolder empty({});
  for (const DeviceReport& report : report_devices(SDXL_FAKE_CUDA, empty.path())) CHECK(has(report.reason, "npm run build:cuda"));
  CHECK(has(report_devices(SDXL_FAKE_CUDA, empty.path() + "/no/such/folder")[0].reason, "npm run build:cuda"));
  const auto without = report_devices("libcuda-that-is-not-there.so.1", folder.path());
  CHECK(without.size() == 1 && without[0].id == "cuda" && has(without[0].reason, "there is no NVIDIA driver"));
  fake.failures["cuDeviceGetName"] = {result::kUnknown};
  CHECK(has(report_devices(SDXL_FAKE_CUDA, folder.path())[0].reason, "CUDA_ERROR_UNKNOWN"));
}

TEST("cuda driver: NODE_SDXL_CUDA_KERNELS names the folder of kernels") {
  const std::string beside = Cubins::default_folder();
  CHECK(beside.ends_with("/cuda"));
  setenv("NODE_SDXL_CUDA_KERNELS", "/some/other place", 1);
  CHECK(Cubins::default_folder() == "/some/other place");
  setenv("NODE_SDXL_CUDA_KERNELS", "", 1);
  CHECK(Cubins::default_folder() == beside);
  unsetenv("NODE_SDXL_CUDA_KERNELS");
}

TEST("cuda driver: a GPU gets the cubin of its own capability, else of the nearest below in its major") {
  const CubinFolder folder(cubins_of("gemm"));
  const Cubins all(folder.path());
  const auto chosen = [](const Cubins& cubins, int major, int minor) { return cubins.architecture_for({major, minor}); };
  CHECK(chosen(all, 8, 0) == "sm_80" && chosen(all, 8, 6) == "sm_86" && chosen(all, 8, 7) == "sm_86" && chosen(all, 8, 9) == "sm_89");
  CHECK(chosen(all, 9, 0) == "sm_90a");
  CHECK(chosen(all, 10, 0) == "sm_100" && chosen(all, 10, 3) == "sm_100" && chosen(all, 12, 0) == "sm_120" && chosen(all, 12, 1) == "sm_120");
  for (const auto& [major, minor] : {std::pair{7, 5}, {9, 1}, {11, 0}, {13, 0}})
    CHECK(ERROR_OF(all.architecture_for({major, minor})).code == Code::device_unavailable);

  const CubinFolder few(cubins_of("gemm", {"sm_86", "sm_90", "sm_90a"}));
  CHECK(ERROR_OF(Cubins(few.path()).architecture_for({8, 0})).code == Code::device_unavailable);
  CHECK(Cubins(few.path()).architecture_for({9, 0}) == "sm_90a");
  CHECK(Cubins(few.path()).read("gemm", "sm_86").size() == 10);
  const Error missing = ERROR_OF(Cubins(few.path()).read("conv2d", "sm_86"));
  CHECK(missing.code == Code::device_unavailable && has(missing.message, "conv2d.sm_86.cubin is missing"));
  CHECK(has(Cubins::default_folder(), "/cuda"));
}

TEST("cuda driver: kernels run from launches, copies arrive, and all is given back") {
  FakeCuda& fake = fake_cuda();
  {
    Gpu gpu;
    const CubinFolder folder(cubins_of("layout"));
    Modules modules(gpu.context, Cubins(folder.path()));
    CHECK(modules.architecture() == "sm_86");
    Arena memory = device_arena(gpu.context);
    Stream stream(gpu.context);
    const Array x = upload(gpu, memory, stream, {1, 2, 3, 4, 5, 6});
    const Array y = memory.take({int64_t(24)}, DType::u8), z = memory.take({int64_t(24)}, DType::u8);
    stream.launch(modules, transpose(x, y, 3, 2));
    stream.copy(z.address(), y.address(), 24);
    CHECK((download(gpu, stream, z) == std::vector<float>{1, 3, 5, 2, 4, 6}));
    stream.launch(modules, transpose(y, z, 2, 3));
    CHECK((download(gpu, stream, z) == std::vector<float>{1, 2, 3, 4, 5, 6}));
    stream.fill(z.address(), 0, 8);
    CHECK((download(gpu, stream, z) == std::vector<float>{0, 0, 3, 4, 5, 6}));
    CHECK(fake.calls_of("cuModuleLoadData") == 1 && fake.calls_of("cuModuleGetFunction") == 1 && fake.calls_of("cuFuncSetAttribute") == 0);
  }
  CHECK(fake.live() == 0);
}

TEST("cuda driver: a host that touches device memory dies of it, before and after work") {
  Gpu gpu;
  Arena memory = device_arena(gpu.context);
  Stream stream(gpu.context);
  const auto reads = [](void* p) { return is_fatal([p] { [[maybe_unused]] const char c = *static_cast<volatile char*>(p); }); };
  const auto writes = [](void* p) { return is_fatal([p] { *static_cast<volatile char*>(p) = 1; }); };
  const Array untouched = memory.take({int64_t(50 << 20)}, DType::u8);
  CHECK(reads(untouched.address()) && reads(static_cast<char*>(untouched.address()) + untouched.bytes() - 1));
  const Array x = upload(gpu, memory, stream, {1, 2, 3, 4, 5, 6}), y = memory.take({int64_t(24)}, DType::u8);
  stream.copy(y.address(), x.address(), 24);
  CHECK(reads(x.address()) && writes(y.address()));
  Event copied(gpu.context);
  copied.record(stream);
  Stream other(gpu.context);
  other.wait_for(copied);  // one stream's work inside another's
  other.fill(y.address(), 0, 4);
  other.finish();
  CHECK(reads(x.address()) && writes(y.address()));
  CHECK((download(gpu, stream, y) == std::vector<float>{0, 2, 3, 4, 5, 6}));
  PinnedMemory pinned(gpu.context, 24);
  CHECK(!reads(pinned.data()) && !writes(pinned.data()));
}

TEST("cuda driver: more shared memory than usual is asked for, once for each size") {
  Gpu gpu;
  const CubinFolder folder(cubins_of("layout"));
  Modules modules(gpu.context, Cubins(folder.path()));
  const auto with = [&](unsigned bytes) { return Launch("layout", "to_channels_first", {}, 256, bytes, 0); };
  modules.function(with(48 << 10));
  CHECK(gpu.fake.calls_of("cuFuncSetAttribute") == 0);
  modules.function(with(64 << 10));
  modules.function(with(60 << 10));
  CHECK(gpu.fake.calls_of("cuFuncSetAttribute") == 1);
  modules.function(with(96 << 10));
  CHECK(gpu.fake.calls_of("cuFuncSetAttribute") == 2);
  const Error error = ERROR_OF(modules.function(with(120 << 10)));
  CHECK(error.code == Code::internal && has(error.message, "122880 bytes of shared memory for to_channels_first"));
  CHECK(has(ERROR_OF(modules.function(Launch("layout", "no_such_kernel", {}, 256, 0, 0))).message, "kernel no_such_kernel"));
  CHECK(ERROR_OF(modules.function(Launch("no_such_file", "concat_2_bytes_", {}, 256, 0, 0))).code == Code::device_unavailable);
}

TEST("cuda driver: a GPU without kernels is refused, and a cubin for another chip too") {
  Gpu gpu;
  const CubinFolder other(cubins_of("layout", {"sm_89"}));
  CHECK(ERROR_OF(Modules(gpu.context, Cubins(other.path()))).code == Code::device_unavailable);
  const CubinFolder wrong(cubins_of("layout", {"sm_86"}));
  std::ofstream(wrong.path() + "/layout.sm_86.cubin") << "sm_90 fake";
  Modules modules(gpu.context, Cubins(wrong.path()));
  CHECK(ERROR_OF(modules.function(Launch("layout", "to_channels_first", {}, 256, 0, 0))).code == Code::device_unavailable);
}

TEST("cuda driver: kernels of other sources are refused, also those that come while others are in use") {
  Gpu gpu;
  const CubinFolder folder(cubins_of("layout"));
  const std::string stamp = folder.path() + "/kernels.stamp", own(Cubins::stamp());
  CHECK(own.size() == 16 && own.find_first_not_of("0123456789abcdef") == std::string::npos);
  const auto refused = [&](const Error& error) {
    CHECK(error.code == Code::device_unavailable && detail(error, "path") == Detail(folder.path()));
    CHECK(has(error.message, "the CUDA kernels in \"" + folder.path() + "\" were made from other sources than this build"));
    CHECK(has(error.message, "npm run build:cuda"));
  };
  const Launch first("layout", "to_channels_first", {}, 256, 0, 0);
  Modules modules(gpu.context, Cubins(folder.path()));
  for (const std::string& other : {std::string("0123456789abcdef"), own.substr(1), own + "0", std::string()}) {
    std::ofstream(stamp) << other << "\n";
    refused(ERROR_OF(Modules(gpu.context, Cubins(folder.path()))));
    refused(ERROR_OF(modules.function(first)));
  }
  std::filesystem::remove(stamp);
  refused(ERROR_OF(Modules(gpu.context, Cubins(folder.path()))));
  refused(ERROR_OF(modules.function(first)));
  const auto reports = report_devices(SDXL_FAKE_CUDA, folder.path(), SDXL_FAKE_CUDA);
  CHECK(reports.size() == 1 && reports[0].id == "cuda:0" && has(reports[0].reason, "from other sources than this build"));
  std::ofstream(stamp) << own;
  CHECK(modules.function(first));
}

TEST("cuda driver: memory is reserved in the first round only") {
  Gpu gpu;
  Arena memory = device_arena(gpu.context);
  std::vector<void*> first;
  int64_t allocations = 0;
  for (int round = 0; round < 4; ++round) {
    const Array a = memory.take({int64_t(1000)}, DType::u8), b = memory.take({int64_t(50 << 20)}, DType::u8);
    Array c = memory.take({int64_t(10'000)}, DType::u8);
    const std::vector<void*> now = {a.address(), b.address(), c.address()};
    for (void* p : now) CHECK(reinterpret_cast<uintptr_t>(p) % kDeviceAlign == 0);
    c = Array();
    const Array d = memory.take({int64_t(20'000)}, DType::u8);
    if (round == 0) {
      first = now;
      allocations = gpu.fake.calls_of("cuMemAlloc_v2");
    }
    CHECK(now == first);
    CHECK(gpu.fake.calls_of("cuMemAlloc_v2") == allocations);
  }
  CHECK(memory.used() == 0 && memory.reserved() >= 50 << 20);
  memory.trim();
  CHECK(gpu.context.memory().free == gpu.context.memory().total);
}

TEST("cuda driver: too little memory is an error with the bytes wanted and free, and work goes on") {
  Gpu gpu;
  Arena memory = device_arena(gpu.context);
  const Array some = memory.take({int64_t(900 << 20)}, DType::u8);
  const Error error = ERROR_OF(memory.take({int64_t(200 << 20)}, DType::u8));
  CHECK(error.code == Code::out_of_memory && !gpu.context.crashed());
  CHECK(detail(error, "wanted") == Detail(int64_t(200) << 20) && detail(error, "free") == Detail(int64_t(124) << 20));
  CHECK(detail(error, "total") == Detail(int64_t(1) << 30) && detail(error, "device") == Detail("cuda:0"));
  CHECK(has(error.message, "209715200 bytes wanted") && has(error.message, "Fake GPU"));
  const Array fits = memory.take({int64_t(100 << 20)}, DType::u8);  // less than a whole region is left
  const Array small = memory.take({int64_t(20 << 20)}, DType::u8);
  CHECK(bool(fits) && bool(small));

  Arena limited = device_arena(gpu.context, 1 << 20);
  const Error budget = ERROR_OF(limited.take({int64_t(2 << 20)}, DType::u8));
  CHECK(budget.code == Code::out_of_memory && detail(budget, "limit") == Detail(int64_t(1) << 20));

  gpu.fake.failures["cuMemHostAlloc"] = {result::kOutOfMemory};
  const Error pinned = ERROR_OF(PinnedMemory(gpu.context, 12345));
  CHECK(pinned.code == Code::out_of_memory && has(pinned.message, "12345 bytes of pinned host memory"));

  const CubinFolder folder(cubins_of("layout"));
  Modules modules(gpu.context, Cubins(folder.path()));
  gpu.fake.failures["cuModuleLoadData"] = {result::kOutOfMemory};
  CHECK(ERROR_OF(modules.function(Launch("layout", "to_channels_first", {}, 256, 0, 0))).code == Code::out_of_memory);
  CHECK(modules.function(Launch("layout", "to_channels_first", {}, 256, 0, 0)));
}

TEST("cuda driver: free regions of the wrong size make room") {
  Gpu gpu;
  Arena memory = device_arena(gpu.context);
  for (size_t megabytes = 100; megabytes <= 1000; megabytes += 100) CHECK(bool(memory.take({int64_t(megabytes << 20)}, DType::u8)));
}

TEST("cuda driver: a bad address in a kernel ends the context for good, and nothing leaks") {
  FakeCuda& fake = fake_cuda();
  {
    Gpu gpu;
    const CubinFolder folder(cubins_of("layout"));
    Modules modules(gpu.context, Cubins(folder.path()));
    Arena memory = device_arena(gpu.context);
    Stream stream(gpu.context);
    Staging staging(gpu.context, 100, 2);
    const Array x = memory.take({int64_t(24)}, DType::u8);
    Launch bad = launch_of(Transpose{false, nullptr, static_cast<float*>(x.address()), 1, 3, 2});
    stream.launch(modules, bad);  // nothing has run yet
    CHECK(!gpu.context.crashed());
    const Error error = ERROR_OF(stream.finish());
    CHECK(error.code == Code::crashed && gpu.context.crashed());
    CHECK(has(error.message, "CUDA_ERROR_ILLEGAL_ADDRESS") && has(error.message, "cuda:0 (Fake GPU) has stopped working"));
    CHECK(!fake.last_fault.empty());
    const Error later = ERROR_OF(memory.take({int64_t(100 << 20)}, DType::u8));
    CHECK(later.code == Code::crashed && later.message == error.message);
    CHECK(ERROR_OF(stream.launch(modules, bad)).code == Code::crashed);
    CHECK(ERROR_OF(gpu.context.make_current()).code == Code::crashed);
  }
  CHECK(fake.live() == 0);
}

TEST("cuda driver: a failed call is an internal error that names it, and is not the end") {
  Gpu gpu;
  Stream stream(gpu.context);
  Arena memory = device_arena(gpu.context);
  const Array block = memory.take({int64_t(16)}, DType::u8);
  const std::vector<float> not_pinned(4);
  const Error error = ERROR_OF(stream.upload(block.address(), not_pinned.data(), 16));
  CHECK(error.code == Code::internal && has(error.message, "an upload: CUDA_ERROR_INVALID_VALUE"));
  gpu.fake.failures["cuStreamCreate"] = {result::kNotFound};
  CHECK(has(ERROR_OF(Stream(gpu.context)).message, "cuStreamCreate: CUDA error 500"));
  gpu.fake.failures["cuLaunchKernel"] = {701};
  const CubinFolder folder(cubins_of("layout"));
  Modules modules(gpu.context, Cubins(folder.path()));
  CHECK(has(ERROR_OF(stream.launch(modules, transpose(block, block, 1, 4))).message, "to_channels_first"));
  stream.finish();
  CHECK(!gpu.context.crashed());
}

TEST("cuda driver: a context that cannot be made leaves nothing behind") {
  FakeCuda& fake = fake_cuda();
  const Library library(SDXL_FAKE_CUDA);
  fake.failures["cuCtxSetCurrent"] = {result::kInvalidDevice};
  CHECK(ERROR_OF(Context(library, 0)).code == Code::device_unavailable);
  fake.failures["cuDevicePrimaryCtxRetain"] = {result::kOutOfMemory};
  CHECK(ERROR_OF(Context(library, 0)).code == Code::out_of_memory);
  CHECK(fake.live() == 0);
}

TEST("cuda driver: events order streams, tell the time and can be asked") {
  Gpu gpu;
  Arena memory = device_arena(gpu.context);
  Stream copies(gpu.context), work(gpu.context);
  PinnedMemory pinned(gpu.context, 16), result(gpu.context, 16);
  std::memset(pinned.data(), 7, 16);
  const Array block = memory.take({int64_t(16)}, DType::u8);
  Event copied(gpu.context), start(gpu.context, Event::Timing::on), end(gpu.context, Event::Timing::on);
  CHECK(copied.reached());  // never recorded
  copies.upload(block.address(), pinned.data(), 16);
  copied.record(copies);
  CHECK(!copied.reached());
  work.wait_for(copied);
  start.record(work);
  work.download(result.data(), block.address(), 16);
  end.record(work);
  CHECK(!end.reached());
  end.wait();
  CHECK(copied.reached() && result.data()[15] == std::byte(7));
  CHECK(end.milliseconds_since(start) > 0);
  CHECK(ERROR_OF(end.milliseconds_since(copied)).code == Code::internal);
}

TEST("cuda driver: a graph repeats its work, and a failed recording leaves the stream usable") {
  Gpu gpu;
  const CubinFolder folder(cubins_of("layout"));
  Modules modules(gpu.context, Cubins(folder.path()));
  Arena memory = device_arena(gpu.context);
  Stream stream(gpu.context);
  const Array x = upload(gpu, memory, stream, {1, 2, 3, 4, 5, 6}), y = memory.take({int64_t(24)}, DType::u8);
  modules.function(transpose(x, y, 3, 2));
  {
    const Graph graph(stream, [&] {
      stream.launch(modules, transpose(x, y, 3, 2));
      stream.copy(x.address(), y.address(), 24);
    });
    CHECK((download(gpu, stream, x) == std::vector<float>{1, 2, 3, 4, 5, 6}));  // nothing has run
    graph.launch(stream);
    CHECK((download(gpu, stream, x) == std::vector<float>{1, 3, 5, 2, 4, 6}));
    graph.launch(stream);
    graph.launch(stream);
    CHECK((download(gpu, stream, x) == std::vector<float>{1, 4, 2, 5, 3, 6}));
  }
  const Error error = ERROR_OF(Graph(stream, [&] { const Array more = memory.take({int64_t(100 << 20)}, DType::u8); }));
  CHECK(error.code == Code::internal && has(error.message, "cuMemAlloc"));  // no allocation inside a step
  gpu.fake.failures["cuGraphInstantiateWithFlags"] = {result::kOutOfMemory};
  CHECK(ERROR_OF(Graph(stream, [] {})).code == Code::out_of_memory);
  stream.launch(modules, transpose(x, y, 3, 2));
  stream.finish();
}

TEST("cuda driver: tensor maps say what was asked for") {
  Gpu gpu;
  alignas(16) static uint16_t data[4 * 5 * 64];
  const TensorBox box{.data = data, .dimensions = 3, .sizes = {64, 5, 4}, .strides = {2, 128, 640}, .box = {64, 2, 3}};
  const TensorMap map = encode_tensor_map(gpu.context, box);
  TensorBox found;  // the fake's map is the box itself
  std::memcpy(&found, &map, sizeof found);
  CHECK(found.data == box.data && found.dimensions == box.dimensions);
  for (int i = 0; i < box.dimensions; ++i) CHECK(found.sizes[i] == box.sizes[i] && found.strides[i] == box.strides[i] && found.box[i] == box.box[i]);
  TensorBox wrong = box;
  wrong.strides[1] = 120;
  const Error error = ERROR_OF(encode_tensor_map(gpu.context, wrong));
  CHECK(error.code == Code::internal && has(error.message, "cuTensorMapEncodeTiled"));
}

TEST("cuda driver: staging never refills a buffer that is still being copied") {
  Gpu gpu;
  constexpr size_t kBytes = 1000, kCount = 40;
  Arena memory = device_arena(gpu.context);
  Stream stream(gpu.context);
  const Array all = memory.take({int64_t(kBytes * kCount)}, DType::u8);
  {
    Staging staging(gpu.context, kBytes, 3);
    std::atomic<size_t> next = 0;
    std::vector<std::thread> readers;
    std::mutex one_stream;
    for (int t = 0; t < 4; ++t)
      readers.emplace_back([&] {
        gpu.context.make_current();
        for (size_t i = next++; i < kCount; i = next++) {
          Staging::Buffer buffer = staging.take();
          std::memset(buffer.data(), int(i + 1), kBytes);
          const std::lock_guard lock(one_stream);
          staging.upload(std::move(buffer), kBytes, static_cast<std::byte*>(all.address()) + i * kBytes, stream);
        }
      });
    for (std::thread& t : readers) t.join();
    { const Staging::Buffer unused = staging.take(); }  // given back without a copy
    const Staging::Buffer a = staging.take(), b = staging.take(), c = staging.take();
    CHECK(a.data() != b.data() && b.data() != c.data() && a.bytes() == kBytes);
  }
  PinnedMemory back(gpu.context, size_t(all.bytes()));
  stream.download(back.data(), all.address(), size_t(all.bytes()));
  stream.finish();
  bool right = true;
  for (size_t i = 0; i < kBytes * kCount; ++i) right &= back.data()[i] == std::byte(i / kBytes + 1);
  CHECK(right);
}

TEST("cuda driver: several GPUs, a thread each") {
  FakeCuda& fake = fake_cuda();
  fake.gpus = {{"First", 8, 9, size_t(1) << 30}, {"Second", 12, 0, size_t(1) << 30}};
  const Library library(SDXL_FAKE_CUDA);
  const CubinFolder folder(cubins_of("layout"));
  std::vector<std::string> architectures(2);
  std::vector<std::thread> engines;
  for (int i = 0; i < 2; ++i)
    engines.emplace_back([&, i] {
      const Context context(library, i);
      Modules modules(context, Cubins(folder.path()));
      modules.function(Launch("layout", "to_channels_first", {}, 256, 0, 0));
      architectures[size_t(i)] = modules.architecture();
    });
  for (std::thread& t : engines) t.join();
  CHECK(architectures[0] == "sm_89" && architectures[1] == "sm_120");
  CHECK(fake.live() == 0);
}

}  // namespace sdxl::test
