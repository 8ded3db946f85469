#include "cuda/bench/suite.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>

#include "core/dtype.h"
#include "cuda/driver/tensor_map.h"
#include "test/numbers.h"

namespace sdxl::cuda::bench {

namespace {

constexpr int kReplays = 50;
constexpr double kLeastGraph = 2e-4;  // seconds of work in a graph, so that its start does not count

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15 …"; empty where there is none.
std::string driver_release() {
  std::string line;
  std::getline(std::ifstream("/proc/driver/nvidia/version"), line);
  return line;
}

}  // namespace

const void* Set::input(int64_t count, DType type, std::vector<float>* values) {
  std::vector<float> drawn = test::numbers(count, ++suite_.seed_);
  std::vector<uint16_t> narrow;
  if (type != DType::f32)
    for (float& v : drawn) {
      narrow.push_back(type == DType::bf16 ? f32_to_bf16(v) : f32_to_f16(v));
      v = type == DType::bf16 ? bf16_to_f32(narrow.back()) : f16_to_f32(narrow.back());
    }
  const void* device = bytes_of(type == DType::f32 ? static_cast<const void*>(drawn.data()) : narrow.data(), size_t(count * size_of(type)));
  if (values) *values = std::move(drawn);
  return device;
}

const void* Set::bytes_of(const void* host, size_t bytes) { return blocks_.emplace_back(suite_.upload(host, bytes)).address(); }

void* Set::output(size_t bytes) {
  Array& block = blocks_.emplace_back(suite_.memory_.take({int64_t(bytes)}, DType::u8));
  suite_.stream_.fill(block.address(), 0xFF, bytes);
  return block.address();
}

Chip Set::chip() const {
  const Device& device = suite_.device();
  return {device.capability.major * 10 + device.capability.minor, device.multiprocessors, device.shared_bytes};
}

TensorMap Set::encode(const TensorBox& box) const { return encode_tensor_map(suite_.context_, box); }

Suite::Suite(const Options& options, Report& report)
    : options_(options),
      report_(report),
      library_(options.library),
      context_(library_, options.device),
      modules_(context_, Cubins(options.cubins)),
      memory_(device_arena(context_)),
      stream_(context_) {
  measure_copy();
  report_.set("copyBytesPerSecond", number(copied_));
  if (!options_.table) return;
  std::printf("%s, compute capability %s, %d multiprocessors, driver for CUDA %s, kernels for %s; copies %.0f GB/s\n", context_.device().name.c_str(),
              context_.device().capability.text().c_str(), context_.device().multiprocessors, version_text(library_.version()).c_str(),
              modules_.architecture().c_str(), copied_ / 1e9);
  std::printf("%-46s %10s %8s %8s %9s %10s\n", "", "ms", "GB/s", "of copy", "TFLOP/s", "error");
}

Array Suite::upload(const void* host, size_t bytes) {
  const PinnedMemory pinned(context_, bytes);
  std::memcpy(pinned.data(), host, bytes);
  Array block = memory_.take({int64_t(bytes)}, DType::u8);
  stream_.upload(block.address(), pinned.data(), bytes);
  stream_.finish();
  return block;
}

double Suite::seconds(const std::function<void()>& work) {
  Event start(context_, Event::Timing::on), end(context_, Event::Timing::on);
  start.record(stream_);
  work();
  end.record(stream_);
  end.wait();
  return end.milliseconds_since(start) / 1e3;
}

void Suite::measure_copy() {
  const size_t bytes = options_.small ? 1 << 16 : size_t(1) << 30;
  const Array from = memory_.take({int64_t(bytes)}, DType::u8), to = memory_.take({int64_t(bytes)}, DType::u8);
  stream_.fill(from.address(), 0x5B, bytes);
  std::vector<double> times;
  for (int i = 0; i < 10; ++i) times.push_back(seconds([&] { stream_.copy(to.address(), from.address(), bytes); }));
  copied_ = 2 * double(bytes) / *std::min_element(times.begin(), times.end());
}

void Suite::launch_all(const std::vector<Launch>& launches) {
  for (const Launch& launch : launches) stream_.launch(modules_, launch);
}

double Suite::relative_error(const Case::Check& check) {
  const size_t bytes = size_t(check.count * size_of(check.type));
  const PinnedMemory pinned(context_, bytes);
  stream_.download(pinned.data(), check.result, bytes);
  stream_.finish();
  const std::vector<float> wanted = check.wanted();
  double error = 0, length = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const int64_t at = check.at.empty() ? int64_t(i) : check.at[i];
    const double w = wanted[i], found = check.type == DType::u8 ? float(pinned.data()[at]) : value_at(pinned.data(), check.type, at);
    error += (found - w) * (found - w);
    length += w * w;
  }
  return std::sqrt(error / length);  // no number stays none, and is above every tolerance
}

double Suite::median_milliseconds(const std::vector<std::vector<Launch>>& sets) {
  const auto replay = [&](const Graph& graph) { return seconds([&] { graph.launch(stream_); }); };
  const auto rounds_of = [&](int rounds) {
    return [&, rounds] {
      for (int i = 0; i < rounds; ++i)
        for (const auto& launches : sets) launch_all(launches);
    };
  };
  const Graph once(stream_, rounds_of(1));
  replay(once);
  const int rounds = options_.small ? 1 : int(std::clamp(std::ceil(kLeastGraph / replay(once)), 1.0, 100.0));
  const Graph graph(stream_, rounds_of(rounds));
  replay(graph);
  std::vector<double> times(options_.small ? 1 : kReplays);
  for (double& t : times) t = replay(graph);
  std::nth_element(times.begin(), times.begin() + int64_t(times.size() / 2), times.end());
  return times[times.size() / 2] * 1e3 / double(rounds * int(sets.size()));
}

void Suite::run(const Case& c) {
  if (!options_.wants(c.name)) return;
  try {
    run_or_throw(c);
  } catch (const Error& error) {
    if (options_.table) std::printf("%-46s %s\n", c.name.c_str(), error.what());
    report_.add_checked("cases", {{"name", string(c.name)}, {"failure", string(error.what())}, {"shape", json::Value(c.shape)}}, false);
    if (context_.crashed()) throw;
  }
}

void Suite::run_or_throw(const Case& c) {
  // As many sets as it takes to pass by the cache three times.
  const int64_t wanted = options_.small ? 1 : std::clamp<int64_t>(int64_t(3.0 * double(context_.device().l2_bytes) / c.bytes) + 1, 1, 16);
  std::vector<std::unique_ptr<Set>> memory;
  std::vector<std::vector<Launch>> sets;
  Case::Check check;
  for (int64_t i = 0; i < wanted; ++i) sets.push_back(c.prepare(*memory.emplace_back(std::make_unique<Set>(*this)), i == 0 ? &check : nullptr));

  launch_all(sets[0]);
  const double error = relative_error(check);
  const bool right = error <= check.tolerance;
  const double milliseconds = median_milliseconds(sets), bandwidth = c.bytes / milliseconds * 1e3, flops = c.flops / milliseconds * 1e3;
  if (options_.table) {
    std::printf("%-46s %10.4f %8.0f %7.0f%% %9.1f %10.2g%s\n", c.name.c_str(), milliseconds, bandwidth / 1e9, 100 * bandwidth / copied_, flops / 1e12, error,
                right ? "" : "  WRONG");
    std::fflush(stdout);
  }
  json::Object row{{"name", string(c.name)},
                   {"milliseconds", number(milliseconds)},
                   {"bytes", number(c.bytes)},
                   {"flops", number(c.flops)},
                   {"shareOfCopy", number(bandwidth / copied_)},
                   {"error", number(error)},
                   {"tolerance", number(check.tolerance)}};
  if (!c.shape.empty()) row.push_back({"shape", json::Value(c.shape)});
  report_.add_checked("cases", std::move(row), right);
}

void describe(const Library& library, const Device& device, const std::string& kernels, Report& report) {
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  report.set("date", string(date));
  report.set("gpu", string(device.name));
  report.set("capability", string(device.capability.text()));
  report.set("driver", string(driver_release()));
  report.set("cuda", string(version_text(library.version())));
  report.set("kernels", string(kernels));
}

}  // namespace sdxl::cuda::bench
