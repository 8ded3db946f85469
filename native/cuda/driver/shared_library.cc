#include "cuda/driver/shared_library.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace sdxl::cuda {

#ifdef _WIN32
void* open_library(const std::string& path) { return LoadLibraryA(path.c_str()); }
std::string open_error() { return "error " + std::to_string(GetLastError()); }
void* symbol(void* library, const char* name) { return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name)); }
#else
void* open_library(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }
std::string open_error() { return dlerror(); }
void* symbol(void* library, const char* name) { return dlsym(library, name); }
#endif

}  // namespace sdxl::cuda
