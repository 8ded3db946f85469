// Compiles one kernel source to a cubin with NVRTC, which needs neither a GPU nor the CUDA toolkit:
//
//   nvrtc_compile <libnvrtc> <source> <cubin> [option of NVRTC …]
//
// The compiler's log goes to standard error. Exit status 0 when the cubin is written, 1 when the source is at fault, 2 when anything else is.
#include <dlfcn.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace {

class Nvrtc {
 public:
  explicit Nvrtc(const char* path) : library_(dlopen(path, RTLD_NOW)) {
    if (!library_) throw std::runtime_error(dlerror());
    load(create, "nvrtcCreateProgram");
    load(compile, "nvrtcCompileProgram");
    load(log_size, "nvrtcGetProgramLogSize");
    load(log, "nvrtcGetProgramLog");
    load(cubin_size, "nvrtcGetCUBINSize");
    load(cubin, "nvrtcGetCUBIN");
    load(error_string, "nvrtcGetErrorString");
  }

  void check(int result, const char* what) const {
    if (result != 0) throw std::runtime_error(std::string(what) + ": " + error_string(result));
  }

  using Program = struct ProgramOfNvrtc*;
  int (*create)(Program*, const char* source, const char* name, int headers, const char* const* header_sources, const char* const* header_names) = nullptr;
  int (*compile)(Program, int options, const char* const*) = nullptr;
  int (*log_size)(Program, size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
  int (*cubin_size)(Program, size_t*) = nullptr;
  int (*cubin)(Program, char*) = nullptr;
  const char* (*error_string)(int) = nullptr;

 private:
  template <class Function>
  void load(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library_, name));
    if (!function) throw std::runtime_error(std::string("no ") + name + " in the library");
  }

  void* library_;
};

int run(int count, char** arguments) {
  constexpr int kSourceAtFault = 6;  // NVRTC_ERROR_COMPILATION
  const Nvrtc nvrtc(arguments[1]);
  std::ifstream file(arguments[2], std::ios::binary);
  if (!file) throw std::runtime_error(std::string("cannot read ") + arguments[2]);
  const std::string source((std::istreambuf_iterator<char>(file)), {});

  Nvrtc::Program program;
  nvrtc.check(nvrtc.create(&program, source.c_str(), arguments[2], 0, nullptr, nullptr), "nvrtcCreateProgram");
  const int result = nvrtc.compile(program, count - 4, arguments + 4);
  size_t size = 0;
  nvrtc.check(nvrtc.log_size(program, &size), "nvrtcGetProgramLogSize");
  std::string log(size, '\0');
  nvrtc.check(nvrtc.log(program, log.data()), "nvrtcGetProgramLog");
  std::fputs(log.c_str(), stderr);
  if (result == kSourceAtFault) return 1;
  nvrtc.check(result, "nvrtcCompileProgram");

  nvrtc.check(nvrtc.cubin_size(program, &size), "nvrtcGetCUBINSize");
  std::string cubin(size, '\0');
  nvrtc.check(nvrtc.cubin(program, cubin.data()), "nvrtcGetCUBIN");
  std::ofstream out(arguments[3], std::ios::binary);
  out.write(cubin.data(), std::streamsize(cubin.size()));
  if (!out.flush()) throw std::runtime_error(std::string("cannot write ") + arguments[3]);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) return std::fprintf(stderr, "usage: nvrtc_compile <libnvrtc> <source> <cubin> [option …]\n"), 2;
  try {
    return run(count, arguments);
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "nvrtc_compile: %s\n", error.what()), 2;
  }
}
