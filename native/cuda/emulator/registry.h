// Every kernel that is linked in, by name: what a cubin is to the driver.
#pragma once

#include <cstddef>
#include <functional>

#include "cuda/emulator/block.h"

namespace sdxl::emulator {

struct Kernel {
  const char* name;
  unsigned threads;        // in every block
  size_t parameter_bytes;  // of its struct
  void (*run)(const void* parameters);
};

struct Register {
  explicit Register(const Kernel& kernel);
};

const Kernel* find_kernel(const char* name);  // null if there is none

// Throws a Fault where the kernel is unknown or has other parameters.
Report launch(const char* name, Dim3 grid, size_t shared_bytes, const void* parameters, size_t parameter_bytes, unsigned seed = 1);

}  // namespace sdxl::emulator
