#include "addon/engine_object.h"

#include <vector>

#include "addon/convert.h"
#include "addon/task.h"

namespace sdxl::addon {

namespace {

using engine::CancelFlag;
struct OpenQueue {
  std::weak_ptr<engine::JobQueue> queue;
  bool wait;
};
using Queues = std::vector<OpenQueue>;

// The state lives as long as its queue is held.
std::shared_ptr<engine::JobQueue> queue_of(const std::shared_ptr<EngineState>& state) { return {state, &state->queue}; }

}  // namespace

void end_queues_with(Napi::Env env) {
  auto* queues = new Queues;
  env.SetInstanceData<Queues>(queues);
  env.AddCleanupHook(
      [](Queues* all) {
        for (const OpenQueue& open : *all)
          if (const auto queue = open.queue.lock()) open.wait ? queue->finish() : queue->close();
      },
      queues);
}

void end_waiting_queues(Napi::Env env) {
  for (const OpenQueue& open : *env.GetInstanceData<Queues>())
    if (const auto queue = open.queue.lock(); queue && open.wait) queue->finish();
}

void end_with_environment(Napi::Env env, const std::shared_ptr<engine::JobQueue>& queue, bool wait) {
  Queues& queues = *env.GetInstanceData<Queues>();
  std::erase_if(queues, [](const OpenQueue& open) { return open.queue.expired(); });
  queues.push_back({queue, wait});
}

Napi::Function Cancellation::define(Napi::Env env) { return DefineClass(env, "Cancellation", {InstanceMethod<&Cancellation::cancel>("cancel")}); }

void Cancellation::attach(std::weak_ptr<engine::JobQueue> queue, const std::shared_ptr<engine::Job>& job) {
  queue_ = std::move(queue);
  job_ = job;
  if (cancelled_) job->cancelled = true;
}

Napi::Value Cancellation::cancel(const Napi::CallbackInfo& info) {
  cancelled_ = true;
  const auto queue = queue_.lock();
  const auto job = job_.lock();
  if (queue && job) queue->cancel(job);
  return info.Env().Undefined();
}

Napi::Function EngineObject::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {
                         InstanceMethod<&EngineObject::load>("load"),
                         InstanceMethod<&EngineObject::encode_prompt>("encodePrompt"),
                         InstanceMethod<&EngineObject::generate>("generate"),
                         InstanceMethod<&EngineObject::predict>("predict"),
                         InstanceMethod<&EngineObject::decode>("decode"),
                         InstanceMethod<&EngineObject::encode_image>("encodeImage"),
                         InstanceMethod<&EngineObject::peak_bytes>("peakBytes"),
                         InstanceMethod<&EngineObject::close>("close"),
                     });
}

EngineObject::EngineObject(const Napi::CallbackInfo& info) : ObjectWrap(info), state_(std::make_shared<EngineState>()) {
  end_with_environment(info.Env(), queue_of(state_));
}

// `prepare` reads the request here and now and returns the work for the engine's thread.
template <class Prepare>
Napi::Value EngineObject::submit(const Napi::CallbackInfo& info, Prepare prepare) {
  const Napi::Env env = info.Env();
  Work work;
  try {
    work = prepare(info[0].As<Napi::Object>());
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Reject(to_js(env, std::current_exception()));
    return deferred.Promise();
  }
  const auto settler = Settler::create(env, info.This().As<Napi::Object>(), info.Length() > 2 ? info[2] : env.Undefined());
  const Napi::Promise promise = settler->promise();
  const auto job = make_job(settler, [state = state_.get(), work = std::move(work)](const CancelFlag& cancelled, const Emit& emit) {
    ToJs result = work(cancelled, emit);
    state->peak_bytes = state->model->peak_bytes();
    return result;
  });
  if (info.Length() > 1 && info[1].IsObject()) Cancellation::Unwrap(info[1].As<Napi::Object>())->attach(queue_of(state_), job);
  state_->queue.submit(job);
  return promise;
}

Napi::Value EngineObject::load(const Napi::CallbackInfo& info) {
  return submit(info, [state = state_.get()](const Napi::Object& from) -> Work {
    return [state, request = load_request(from)](const CancelFlag& cancelled, const Emit& emit) mutable -> ToJs {
      request.progress = [&emit](const char* phase, int64_t loaded, int64_t total) { emit_progress(emit, phase, loaded, total); };
      state->model = std::make_unique<engine::Model>(request, cancelled);
      return [state, loaded = state->model->info()](Napi::Env env) {
        state->info = loaded;
        return to_js(env, loaded);
      };
    };
  });
}

Napi::Value EngineObject::encode_prompt(const Napi::CallbackInfo& info) {
  return submit(info, [state = state_.get()](const Napi::Object& from) -> Work {
    return [state, request = prompt(from), loras = lora_request(from)](const CancelFlag& cancelled, const Emit&) -> ToJs {
      return [result = state->model->encode_prompt(request, loras, cancelled)](Napi::Env env) {
        Napi::Object to = Napi::Object::New(env);
        to.Set("tokens", double(result.tokens));
        to.Set("context", to_js(env, result.context)), to.Set("pooled", to_js(env, result.pooled));
        to.Set("warnings", to_js(env, result.warnings));
        return to;
      };
    };
  });
}

Napi::Value EngineObject::generate(const Napi::CallbackInfo& info) {
  return submit(info, [state = state_.get()](const Napi::Object& from) -> Work {
    return [state, request = generate_request(from, state->info)](const CancelFlag& cancelled, const Emit& emit) mutable -> ToJs {
      request.on_step = [&emit](int index, double sigma, double milliseconds) {
        emit([=](Napi::Env env) {
          Napi::Object event = Napi::Object::New(env);
          event.Set("type", "step"), event.Set("index", index), event.Set("sigma", sigma), event.Set("milliseconds", milliseconds);
          return event;
        });
      };
      request.on_image = [&emit](int index, std::vector<uint8_t> rgb) {
        emit([index, rgb = std::move(rgb)](Napi::Env env) {
          Napi::Object event = Napi::Object::New(env);
          event.Set("type", "image"), event.Set("index", index), event.Set("rgb", to_js(env, rgb));
          return event;
        });
      };
      request.on_preview = [&emit](int step, int picture, int64_t height, int64_t width, std::vector<uint8_t> rgb) {
        emit([=, rgb = std::move(rgb)](Napi::Env env) {
          Napi::Object event = Napi::Object::New(env);
          event.Set("type", "preview"), event.Set("step", step), event.Set("index", picture);
          event.Set("width", double(width)), event.Set("height", double(height)), event.Set("rgb", to_js(env, rgb));
          return event;
        });
      };
      return [result = state->model->generate(request, cancelled)](Napi::Env env) {
        Napi::Object to = Napi::Object::New(env);
        to.Set("loras", result.loras), to.Set("encode", result.encode), to.Set("denoise", result.denoise), to.Set("decode", result.decode);
        to.Set("warnings", to_js(env, result.warnings));
        if (!result.latents.empty()) to.Set("latents", to_js(env, result.latents));
        return to;
      };
    };
  });
}

Napi::Value EngineObject::predict(const Napi::CallbackInfo& info) {
  return submit(info, [state = state_.get()](const Napi::Object& from) -> Work {
    return [state, request = predict_request(from, state->info)](const CancelFlag& cancelled, const Emit&) -> ToJs {
      return [result = state->model->predict(request, cancelled)](Napi::Env env) { return to_js(env, result); };
    };
  });
}

// Events: one per picture, { index, rgb } or, with `pixels`, { index, pixels }.
Napi::Value EngineObject::decode(const Napi::CallbackInfo& info) {
  return submit(info, [state = state_.get()](const Napi::Object& from) -> Work {
    engine::DecodeRequest request{.count = integer(from, "count"), .height = integer(from, "height"), .width = integer(from, "width")};
    request.tile = integer(from, "tile"), request.tiling = tiling(from);
    request.latents = floats(from, "latents", request.count * state->info.latent_channels * request.height * request.width);
    request.as_floats = from.Get("pixels").ToBoolean();
    return [=, request = std::move(request)](const CancelFlag& cancelled, const Emit& emit) -> ToJs {
      state->model->decode(request, cancelled, [&](int64_t index, engine::Decoded decoded) {
        emit([index, as_floats = request.as_floats, decoded = std::move(decoded)](Napi::Env env) {
          Napi::Object event = Napi::Object::New(env);
          event.Set("index", double(index));
          if (as_floats) event.Set("pixels", to_js(env, decoded.pixels));
          else event.Set("rgb", to_js(env, decoded.rgb));
          return event;
        });
      });
      return [](Napi::Env env) { return env.Undefined(); };
    };
  });
}

Napi::Value EngineObject::encode_image(const Napi::CallbackInfo& info) {
  return submit(info, [state = state_.get()](const Napi::Object& from) -> Work {
    engine::EncodeImageRequest request{.picture = {.height = integer(from, "height"), .width = integer(from, "width")}};
    const int64_t pixels = request.picture.height * request.picture.width;
    request.picture.rgb = bytes(from, "data", 3 * pixels);
    if (present(from, "hidden")) request.picture.hidden = bytes(from, "hidden", pixels);
    if (present(from, "tile")) request.tile = integer(from, "tile");
    request.tiling = tiling(from);
    return [state, request = std::move(request)](const CancelFlag& cancelled, const Emit&) -> ToJs {
      return [result = state->model->encode_image(request, cancelled)](Napi::Env env) { return to_js(env, result); };
    };
  });
}

Napi::Value EngineObject::peak_bytes(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), double(state_->peak_bytes)); }

// Resolves when the running job has stopped and the model's memory is free. To be called once.
Napi::Value EngineObject::close(const Napi::CallbackInfo& info) {
  const auto settler = Settler::create(info.Env(), info.This().As<Napi::Object>(), info.Env().Undefined());
  const Napi::Promise promise = settler->promise();
  state_->queue.close([state = state_.get(), settler] {
    state->model.reset();
    settler->settle(nullptr, [](Napi::Env env) { return env.Undefined(); });
  });
  return promise;
}

}  // namespace sdxl::addon
