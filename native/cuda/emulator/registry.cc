#include "cuda/emulator/registry.h"

#include <map>
#include <string>

namespace sdxl::emulator {

namespace {

std::map<std::string, Kernel>& kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

}  // namespace

Register::Register(const Kernel& kernel) { kernels().emplace(kernel.name, kernel); }

const Kernel* find_kernel(const char* name) {
  const auto it = kernels().find(name);
  return it == kernels().end() ? nullptr : &it->second;
}

Report launch(const char* name, Dim3 grid, size_t shared_bytes, const void* parameters, size_t parameter_bytes, unsigned seed) {
  const Kernel* kernel = find_kernel(name);
  if (!kernel) throw Fault(Mistake::launch, std::string("no kernel is called ") + name);
  if (kernel->parameter_bytes != parameter_bytes)
    throw Fault(Mistake::launch,
                std::string(name) + " has " + std::to_string(kernel->parameter_bytes) + " bytes of parameters, got " + std::to_string(parameter_bytes));
  return launch({grid, kernel->threads, shared_bytes, seed}, [&] { kernel->run(parameters); });
}

}  // namespace sdxl::emulator
