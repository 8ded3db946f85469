// Are the kernels right on this GPU, and how fast? See bench/gpu/README.md.
//
//   gpu_bench [--cubins folder] [--json file] [--device n] [--only part-of-a-name] [--library libcuda] [--small]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "core/json_writer.h"
#include "cuda/bench/suite.h"

namespace {

int run(int count, char** arguments) {
  using namespace sdxl::cuda;  // NOLINT: a program of its own
  bench::Options options;
  std::string json_path;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == count) throw sdxl::Error(sdxl::Code::invalid_argument, name + " wants a value");
      return arguments[++i];
    };
    if (name == "--cubins") options.cubins = value();
    else if (name == "--json") json_path = value();
    else if (name == "--device") options.device = std::atoi(value().c_str());
    else if (name == "--only") options.only = value();
    else if (name == "--library") options.library = value();
    else if (name == "--small") options.small = true;
    else throw sdxl::Error(sdxl::Code::invalid_argument, "unknown option " + name);
  }
  bench::Suite suite(options);
  for (const bench::Case& c : bench::matrix_cases(options.small, suite.device())) suite.run(c);
  for (const bench::Case& c : bench::simple_cases(options.small)) suite.run(c);
  if (!json_path.empty()) std::ofstream(json_path) << sdxl::json::text(suite.report()) << "\n";
  std::printf(suite.all_right() ? "all right\n" : "some results are WRONG\n");
  return suite.all_right() ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run(count, arguments);
  } catch (const sdxl::Error& error) {
    return std::fprintf(stderr, "gpu_bench: %s\n", error.what()), 2;
  }
}
