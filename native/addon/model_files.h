// Long work on a model's files: (request, cancellation?, onProgress?) → promise. Each call has a thread of its own.
#pragma once

#include <napi.h>

namespace sdxl::addon {

Napi::Value convert_model(const Napi::CallbackInfo& info);
Napi::Value verify_model(const Napi::CallbackInfo& info);
// () → undefined, when all of these calls have stopped and cleared away what they had begun. For the end of the process.
Napi::Value end_file_work(const Napi::CallbackInfo& info);

}  // namespace sdxl::addon
