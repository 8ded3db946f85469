#include "cpu/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "core/error.h"

namespace sdxl::cpu {

extern const Kernels kPlainKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels, kAvx512Kernels, kAvx512Bf16Kernels;

namespace {

// GCC and Clang learned its name at unlike times. What AVX-512 needs of the operating system is asked with it.
bool has_avx512_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5);
}

}  // namespace

#endif

std::vector<const Kernels*> usable_kernels() {
  std::vector<const Kernels*> usable;
#if defined(__x86_64__)
  // These ask the operating system, too, whether it saves the wide registers.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    if (has_avx512_bf16()) usable.push_back(&kAvx512Bf16Kernels);
    usable.push_back(&kAvx512Kernels);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) usable.push_back(&kAvx2Kernels);
#endif
  usable.push_back(&kPlainKernels);
  return usable;
}

const Kernels& kernels_named(std::string_view isa) {
  const std::vector<const Kernels*> usable = usable_kernels();
  if (isa.empty()) return *usable.front();
  std::vector<std::string> names;
  std::string list;
  for (const Kernels* kernels : usable) {
    if (kernels->name == isa) return *kernels;
    names.push_back(kernels->name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  throw Error(Code::device_unavailable, "instruction set '" + std::string(isa) + "' is not available here; this machine and build have: " + list,
              {{"wanted", std::string(isa)}, {"found", names}});
}

}  // namespace sdxl::cpu
