#include "addon/model_files.h"

#include "addon/convert.h"
#include "addon/engine_object.h"
#include "addon/task.h"
#include "convert/convert.h"
#include "convert/verify.h"

namespace sdxl::addon {

namespace {

using Progress = std::function<void(const std::string& phase, int64_t done, int64_t total)>;

// Tells JavaScript every half percent: a model has thousands of small tensors.
Progress reporter(const Emit& emit) {
  return [&emit, last_phase = std::string(), last = int64_t(0)](const std::string& phase, int64_t done, int64_t total) mutable {
    if (phase == last_phase && done != total && done - last < total / 200) return;
    last_phase = phase, last = done;
    emit_progress(emit, phase, done, total);
  };
}

Napi::Value submit(const Napi::CallbackInfo& info, Work work) {
  const Napi::Env env = info.Env();
  const auto queue = std::make_shared<engine::JobQueue>();
  end_with_environment(env, queue, true);
  Napi::Object owner = Napi::Object::New(env);
  owner.AddFinalizer([](Napi::Env, std::shared_ptr<engine::JobQueue>* held) { delete held; }, new std::shared_ptr(queue));
  const auto settler = Settler::create(env, owner, info.Length() > 2 ? info[2] : env.Undefined());
  const Napi::Promise promise = settler->promise();
  const auto job = make_job(settler, std::move(work));
  // The thread ends with its only job, not when the owner is collected some day.
  job->done = [queue = queue.get(), settle = std::move(job->done)](std::exception_ptr error) {
    settle(error);
    queue->close();
  };
  if (info.Length() > 1 && info[1].IsObject()) Cancellation::Unwrap(info[1].As<Napi::Object>())->attach(queue, job);
  queue->submit(job);
  return promise;
}

convert::TargetType target_type(const std::string& name) {
  if (name == "fp32") return DType::f32;
  if (name == "fp16") return DType::f16;
  if (name == "bf16") return DType::bf16;
  return {};
}

}  // namespace

Napi::Value convert_model(const Napi::CallbackInfo& info) {
  const auto from = info[0].As<Napi::Object>();
  convert::ConvertRequest request{
      .from = text(from, "from"),
      .to = text(from, "to"),
      .folder = text(from, "layout") == "diffusers",
      .dtype = target_type(text(from, "dtype")),
      .overwrite = from.Get("overwrite").ToBoolean(),
      .merges = text(from, "merges"),
  };
  const auto loras = from.Get("loras").As<Napi::Array>();
  for (uint32_t i = 0; i < loras.Length(); ++i) request.loras.push_back(lora_use(loras.Get(i).As<Napi::Object>()));
  return submit(info, [request](const std::atomic<bool>& cancelled, const Emit& emit) mutable -> ToJs {
    request.progress = reporter(emit);
    return [result = convert::convert(request, cancelled)](Napi::Env env) {
      Napi::Object to = Napi::Object::New(env);
      to.Set("tensors", double(result.tensors)), to.Set("bytes", double(result.bytes)), to.Set("sha256", result.sha256);
      to.Set("remarks", to_js(env, result.remarks));
      return to;
    };
  });
}

Napi::Value verify_model(const Napi::CallbackInfo& info) {
  const auto from = info[0].As<Napi::Object>();
  convert::VerifyRequest request{.path = text(from, "path"), .sha256 = text(from, "sha256")};
  return submit(info, [request](const std::atomic<bool>& cancelled, const Emit& emit) mutable -> ToJs {
    request.progress = reporter(emit);
    return [result = convert::verify(request, cancelled)](Napi::Env env) {
      Napi::Object to = Napi::Object::New(env);
      to.Set("sha256", result.sha256), to.Set("problems", to_js(env, result.problems));
      return to;
    };
  });
}

Napi::Value end_file_work(const Napi::CallbackInfo& info) {
  end_waiting_queues(info.Env());
  return info.Env().Undefined();
}

}  // namespace sdxl::addon
