// Compiled kernels on a GPU. A file is loaded when one of its kernels is first used. One thread uses an object.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "cuda/driver/context.h"
#include "cuda/driver/cubins.h"
#include "cuda/launch/launch.h"

namespace sdxl::cuda {

class Modules {
 public:
  // Throws Error(device_unavailable) when there are no kernels for this GPU.
  Modules(const Context& context, Cubins cubins);
  ~Modules();
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;

  const std::string& architecture() const { return architecture_; }

  // Ready for a launch with so much shared memory.
  CUfunc_st* function(const Launch& launch);

 private:
  struct Function {
    CUfunc_st* handle;
    unsigned shared_bytes;  // allowed so far
  };

  CUmod_st* module(const std::string& file);

  const Context& context_;
  Cubins cubins_;
  std::string architecture_;
  std::map<std::string, CUmod_st*> modules_;   // by file
  std::map<std::string, Function> functions_;  // by kernel, whose names are unique
};

}  // namespace sdxl::cuda
