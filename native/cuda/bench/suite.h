// Runs kernels on a GPU: each is compared with a reference first and timed after that, beside what the same GPU copies in the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "cuda/bench/report.h"
#include "cuda/driver/memory.h"
#include "cuda/driver/modules.h"
#include "cuda/driver/stream.h"
#include "cuda/launch/tiles.h"

namespace sdxl::cuda::bench {

struct Options {
  std::string library = Library::default_path(), cubins = Cubins::default_folder();
  int device = 0;
  std::string only = {};           // part of a name
  std::string precision = "auto";  // of the engine, as in LoadRequest
  bool small = false;              // sizes for the emulator: shows that the suite works, times mean nothing
  bool table = true;               // on standard output, as it goes

  // Whether what bears this name is to be run.
  bool wants(const std::string& name) const { return name.find(only) != std::string::npos; }
};

// What a case works on, one set of several, so that a repeated run does not find its input in the cache.
class Set {
 public:
  explicit Set(class Suite& suite) : suite_(suite) {}

  // Numbers of −1 … 1, rounded to the format; the first set keeps them for the reference.
  const void* input(int64_t count, DType type, std::vector<float>* values = nullptr);
  const void* bytes_of(const void* host, size_t bytes);
  // NaN until written.
  void* output(size_t bytes);

  Chip chip() const;
  TensorMap encode(const TensorBox& box) const;

 private:
  Suite& suite_;
  std::vector<Array> blocks_;
};

struct Case {
  std::string name;
  double bytes;             // the least that has to move through the GPU's memory
  double flops = 0;         // of matrix units
  json::Object shape = {};  // for peers.py, which times the same in other libraries
  // The launches that do it once, on memory of the set. For the first set `check` is filled in: it gets what lies at `result` as fp32.
  struct Check {
    const void* result = nullptr;
    DType type = DType::f32;
    int64_t count = 0;
    std::function<std::vector<float>()> wanted;
    double tolerance = 0;          // of |found − wanted| / |wanted| over all elements together
    std::vector<int64_t> at = {};  // the elements to compare, in the order of `wanted`; none: all
  };
  std::function<std::vector<Launch>(Set&, Check*)> prepare;
};

class Suite {
 public:
  Suite(const Options& options, Report& report);

  // What fails is wrong. Throws Error(crashed) when the GPU has stopped working.
  void run(const Case& c);
  const Device& device() const { return context_.device(); }

 private:
  friend class Set;
  void run_or_throw(const Case& c);
  double seconds(const std::function<void()>& work);  // that the GPU takes for what `work` puts into the stream
  void measure_copy();
  double relative_error(const Case::Check& check);
  double median_milliseconds(const std::vector<std::vector<Launch>>& sets);
  void launch_all(const std::vector<Launch>& launches);
  Array upload(const void* host, size_t bytes);

  Options options_;
  Report& report_;
  Library library_;
  Context context_;
  Modules modules_;
  Arena memory_;
  Stream stream_;
  double copied_ = 0;  // bytes a second, read and written
  uint64_t seed_ = 0;
};

// What stands above all results: date, GPU, driver.
void describe(const Library& library, const Device& device, const std::string& kernels, Report& report);

// The kernels that are no matrix products.
std::vector<Case> simple_cases(bool small);
// Linear layers, convolutions and attention at SDXL's shapes, those of sm_90a too on such a GPU.
std::vector<Case> matrix_cases(bool small, const Device& device);

}  // namespace sdxl::cuda::bench
