#include "addon/inspect.h"

#include "addon/convert.h"
#include "addon/task.h"
#include "engine/inspect.h"

namespace sdxl::addon {

namespace {

// Headers are small and the work is short, so Node's thread pool may do it.
class InspectWorker : public Napi::AsyncWorker {
 public:
  InspectWorker(Napi::Env env, std::string path) : AsyncWorker(env), path_(std::move(path)), deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      result_ = engine::inspect(path_);
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  void OnOK() override {
    const Napi::Env env = Env();
    if (error_) return deferred_.Reject(to_js(env, error_));
    Napi::Object to = Napi::Object::New(env), metadata = Napi::Object::New(env);
    for (const auto& [key, value] : result_.metadata) metadata.Set(key, value);
    to.Set("format", result_.format), to.Set("family", result_.family), to.Set("dtype", result_.dtype);
    to.Set("variant", result_.variant), to.Set("prediction", result_.prediction), to.Set("parts", to_js(env, result_.parts));
    to.Set("tensors", double(result_.tensors)), to.Set("bytes", double(result_.bytes));
    to.Set("metadata", metadata), to.Set("problems", to_js(env, result_.problems));
    deferred_.Resolve(to);
  }

 private:
  std::string path_;
  Napi::Promise::Deferred deferred_;
  engine::Inspection result_;
  std::exception_ptr error_;
};

}  // namespace

Napi::Value inspect(const Napi::CallbackInfo& info) {
  auto* worker = new InspectWorker(info.Env(), info[0].ToString().Utf8Value());
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace sdxl::addon
