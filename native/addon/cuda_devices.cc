#include "addon/cuda_devices.h"

#include "addon/convert.h"
#include "cuda/driver/device.h"

namespace sdxl::addon {

namespace {

// NVIDIA's driver may take a second to start, so Node's thread pool waits for it.
class DevicesWorker : public Napi::AsyncWorker {
 public:
  explicit DevicesWorker(Napi::Env env) : AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override { reports_ = cuda::report_devices(cuda::Library::default_path(), cubins_); }

  void OnOK() override {
    const Napi::Env env = Env();
    Napi::Array list = Napi::Array::New(env, reports_.size());
    for (size_t i = 0; i < reports_.size(); ++i) {
      const cuda::DeviceReport& report = reports_[i];
      Napi::Object to = Napi::Object::New(env);
      to.Set("id", report.id), to.Set("name", report.name), to.Set("reason", report.reason), to.Set("features", to_js(env, report.features));
      to.Set("total", double(report.memory)), to.Set("free", double(report.free_memory.value_or(-1)));
      list.Set(uint32_t(i), to);
    }
    deferred_.Resolve(list);
  }

 private:
  const std::string cubins_ = cuda::Cubins::default_folder();  // reads the environment, which JavaScript may write to meanwhile
  Napi::Promise::Deferred deferred_;
  std::vector<cuda::DeviceReport> reports_;
};

}  // namespace

Napi::Value cuda_devices(const Napi::CallbackInfo& info) {
  auto* worker = new DevicesWorker(info.Env());
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace sdxl::addon
