#include "cuda/driver/modules.h"

namespace sdxl::cuda {

namespace {

constexpr unsigned kSharedAllowed = 48 << 10;  // without asking

}  // namespace

Modules::Modules(const Context& context, Cubins cubins)
    : context_(context), cubins_(std::move(cubins)), architecture_(cubins_.architecture_for(context.device().capability)) {}

Modules::~Modules() {
  for (const auto& [file, module] : modules_) context_.functions().cuModuleUnload(module);
}

CUmod_st* Modules::module(const std::string& file) {
  if (const auto known = modules_.find(file); known != modules_.end()) return known->second;
  const std::vector<char> cubin = cubins_.read(file, architecture_);
  CUmod_st* module = nullptr;
  context_.check_allocation(context_.functions().cuModuleLoadData(&module, cubin.data()), cubin.size(), "the kernels " + file + "." + architecture_);
  return modules_[file] = module;
}

CUfunc_st* Modules::function(const Launch& launch) {
  auto known = functions_.find(launch.kernel);
  if (known == functions_.end()) {
    CUfunc_st* handle = nullptr;
    context_.check(context_.functions().cuModuleGetFunction(&handle, module(launch.file), launch.kernel.c_str()), "kernel " + launch.kernel);
    known = functions_.insert({launch.kernel, {handle, kSharedAllowed}}).first;
  }
  Function& function = known->second;
  if (launch.shared_bytes > function.shared_bytes) {
    context_.check(context_.functions().cuFuncSetAttribute(function.handle, kMaxDynamicSharedBytes, int(launch.shared_bytes)),
                   std::to_string(launch.shared_bytes) + " bytes of shared memory for " + launch.kernel);
    function.shared_bytes = launch.shared_bytes;
  }
  return function.handle;
}

}  // namespace sdxl::cuda
