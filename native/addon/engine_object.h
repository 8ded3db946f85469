// class Engine of the addon: one model with its own thread. Its jobs are promises.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>

#include "engine/job_queue.h"
#include "engine/model.h"

namespace sdxl::addon {

struct EngineState {
  std::unique_ptr<engine::Model> model;  // touched on the queue's thread only, but for the copy of its info
  engine::ModelInfo info;
  std::atomic<int64_t> peak_bytes = 0;
  engine::JobQueue queue;  // last: its thread ends before the model goes
};

// A job that can be stopped, before it begins or while it runs.
class Cancellation : public Napi::ObjectWrap<Cancellation> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit Cancellation(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
  void attach(std::weak_ptr<engine::JobQueue> queue, const std::shared_ptr<engine::Job>& job);

 private:
  Napi::Value cancel(const Napi::CallbackInfo& info);

  std::weak_ptr<engine::JobQueue> queue_;
  std::weak_ptr<engine::Job> job_;
  bool cancelled_ = false;
};

class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit EngineObject(const Napi::CallbackInfo& info);

 private:
  // (request, cancellation?, onEvent?) → promise
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value encode_prompt(const Napi::CallbackInfo& info);
  Napi::Value generate(const Napi::CallbackInfo& info);
  Napi::Value predict(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value encode_image(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  // Weights and the most activations held so far, in bytes. No promise: it is known at any time.
  Napi::Value peak_bytes(const Napi::CallbackInfo& info);

  template <class Prepare>
  Napi::Value submit(const Napi::CallbackInfo& info, Prepare prepare);

  std::shared_ptr<EngineState> state_;
};

// Closes every queue of this environment when the environment ends: at process exit, or when a worker thread is terminated.
void end_queues_with(Napi::Env env);
// Counts the queue among them. `wait`: the environment waits for what runs, which has something to clear away.
void end_with_environment(Napi::Env env, const std::shared_ptr<engine::JobQueue>& queue, bool wait = false);
// Closes those now, and waits for them: process.exit() ends a process without ending its environment.
void end_waiting_queues(Napi::Env env);

}  // namespace sdxl::addon
