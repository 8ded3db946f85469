// () → promise of the NVIDIA GPUs and why those that cannot be used cannot.
#pragma once

#include <napi.h>

namespace sdxl::addon {

Napi::Value cuda_devices(const Napi::CallbackInfo& info);

}  // namespace sdxl::addon
