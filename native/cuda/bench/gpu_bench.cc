// Is the engine right on this GPU, and how fast? See bench/gpu/README.md.
//
//   gpu_bench [--cubins folder] [--json file] [--device n] [--only part-of-a-name] [--library libcuda] [--small]
//             [--work folder] [--tiny model] [--precision p] [--since seconds]
//   gpu_bench --json file (--summary | --skipped name reason)
//   gpu_bench --stamp
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "core/cpu_count.h"
#include "cuda/bench/checkpoint.h"
#include "cuda/bench/engine.h"

namespace {

using namespace sdxl::cuda;  // NOLINT: a program of its own

struct Arguments {
  bench::Options options;
  std::string json;
  std::string work = std::filesystem::temp_directory_path().string();  // where the checkpoint lies
  std::string tiny;                                                    // a small model of real weights, or ""
  double since = bench::seconds_since_1970();
  bool summary = false;
  bool stamp = false;           // print that of its kernels
  std::string skipped, reason;  // what was not run, and why
};

Arguments parsed(int count, char** arguments) {
  Arguments a;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == count) throw sdxl::Error(sdxl::Code::invalid_argument, name + " wants a value");
      return arguments[++i];
    };
    if (name == "--cubins") a.options.cubins = value();
    else if (name == "--json") a.json = value();
    else if (name == "--device") a.options.device = std::atoi(value().c_str());
    else if (name == "--only") a.options.only = value();
    else if (name == "--library") a.options.library = value();
    else if (name == "--small") a.options.small = true;
    else if (name == "--precision") a.options.precision = value();
    else if (name == "--work") a.work = value();
    else if (name == "--tiny") a.tiny = value();
    else if (name == "--since") a.since = std::atof(value().c_str());
    else if (name == "--summary") a.summary = true;
    else if (name == "--stamp") a.stamp = true;
    else if (name == "--skipped") a.skipped = value(), a.reason = value();
    else throw sdxl::Error(sdxl::Code::invalid_argument, "unknown option " + name);
  }
  return a;
}

void synthesise(const Arguments& a, const std::string& path) {
  const double start = bench::seconds_since_1970();
  const int64_t bytes = bench::write_checkpoint(a.options.small ? bench::smallest_spec() : bench::full_spec(), path, sdxl::usable_cpus());
  const double seconds = bench::seconds_since_1970() - start;
  std::printf("%s: %.2f GB in %.1f s\n", path.c_str(), double(bytes) / 1e9, seconds);
}

void run_kernels(const Arguments& a, const Library& library, bench::Report& report) {
  const bool all = a.options.wants("kernels");
  std::vector<bench::Case> cases;
  for (auto& some : {bench::matrix_cases(a.options.small, device(library, a.options.device)), bench::simple_cases(a.options.small)})
    for (const bench::Case& c : some)
      if (all || a.options.wants(c.name)) cases.push_back(c);
  if (cases.empty()) return;
  bench::Options options = a.options;
  if (all) options.only.clear();
  bench::Suite suite(options, report);
  for (const bench::Case& c : cases) suite.run(c);
}

int run(const Arguments& a) {
  if (a.stamp) return std::puts(std::string(Cubins::stamp()).c_str()), 0;
  bench::Report report(a.json);
  if (a.summary) return bench::print_summary(report), 0;
  if (!a.skipped.empty()) return report.add("skipped", {{"name", bench::string(a.skipped)}, {"reason", bench::string(a.reason)}}), 0;
  const std::string checkpoint = a.work + (a.options.small ? "/sdxl-smallest.safetensors" : "/sdxl-full.safetensors");
  const bool compares = a.options.wants("compare"), measures = a.options.wants("engine");
  if (a.options.wants("synthesise")) synthesise(a, checkpoint);
  else if ((compares || measures) && !std::filesystem::exists(checkpoint))
    throw sdxl::Error(sdxl::Code::invalid_argument, "there is no " + checkpoint + "; `--only synthesise` writes it");
  if (a.options.only == "synthesise") return 0;

  // First, so that nothing is ready for the first picture.
  if (measures) bench::measure_engine(a.options, checkpoint, a.since, report);
  const Library library(a.options.library);
  const Device gpu = device(library, a.options.device);
  bench::describe(library, gpu, Cubins(a.options.cubins).architecture_for(gpu.capability), report);
  run_kernels(a, library, report);
  if (compares) bench::compare_models(a.options, checkpoint, a.tiny, report);
  std::printf(report.all_right() ? "all right\n" : "some results are WRONG\n");
  return report.all_right() ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run(parsed(count, arguments));
  } catch (const sdxl::Error& error) {
    return std::fprintf(stderr, "gpu_bench: %s\n", error.what()), 2;
  }
}
