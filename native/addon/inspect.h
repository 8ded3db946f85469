// (path) → promise of what a model file is, from its headers alone.
#pragma once

#include <napi.h>

namespace sdxl::addon {

Napi::Value inspect(const Napi::CallbackInfo& info);

}  // namespace sdxl::addon
