// The module: what bindings/addon.ts describes.
#include <napi.h>

#include "addon/convert.h"
#include "addon/cuda_devices.h"
#include "addon/engine_object.h"
#include "addon/inspect.h"
#include "addon/model_files.h"
#include "core/cpu_count.h"
#include "cpu/backend.h"

namespace sdxl::addon {

namespace {

// () → { threads, isas }
Napi::Value cpu(const Napi::CallbackInfo& info) {
  Napi::Object to = Napi::Object::New(info.Env());
  to.Set("threads", usable_cpus());
  to.Set("isas", to_js(info.Env(), available_isas()));
  return to;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  end_queues_with(env);
  exports.Set("Engine", EngineObject::define(env));
  exports.Set("Cancellation", Cancellation::define(env));
  exports.Set("cpu", Napi::Function::New<cpu>(env));
  exports.Set("cudaDevices", Napi::Function::New<cuda_devices>(env));
  exports.Set("inspect", Napi::Function::New<inspect>(env));
  exports.Set("convertModel", Napi::Function::New<convert_model>(env));
  exports.Set("verifyModel", Napi::Function::New<verify_model>(env));
  exports.Set("endFileWork", Napi::Function::New<end_file_work>(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(node_sdxl, init)

}  // namespace sdxl::addon
