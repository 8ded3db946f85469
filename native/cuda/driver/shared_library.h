// Libraries of the system, opened when the program runs and never closed: NVIDIA's have threads of their own.
#pragma once

#include <string>

namespace sdxl::cuda {

void* open_library(const std::string& path);  // nullptr when it cannot be
std::string open_error();                     // why the last one could not, on this thread
void* symbol(void* library, const char* name);

}  // namespace sdxl::cuda
