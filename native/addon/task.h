// A job of the engine as a promise of JavaScript, with events on the way.
//
// Three rules of thread-safe functions, each of which ends in a crash when broken: after napi_closing the function must not be touched
// again; references to JavaScript objects may be released on the JavaScript thread only; a pending call keeps the process alive, so
// the function is released as soon as the promise is settled.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "engine/job_queue.h"

namespace sdxl::addon {

// Makes the JavaScript value of a result; called on the JavaScript thread.
using ToJs = std::function<Napi::Value(Napi::Env)>;
// Sends an event to the callback given to `start`, from any thread.
using Emit = std::function<void(ToJs)>;
using Work = std::function<ToJs(const std::atomic<bool>& cancelled, const Emit& emit)>;

// The rejection for a native exception: an Error with code, message and details; code "CANCELLED" for a cancelled job.
Napi::Value to_js(Napi::Env env, std::exception_ptr error);

// What a job needs to settle its promise on the JavaScript thread.
class Settler {
 public:
  // `owner` stays alive until the promise is settled. `on_event` may be undefined.
  static std::shared_ptr<Settler> create(Napi::Env env, Napi::Object owner, Napi::Value on_event);
  Napi::Promise promise() const { return deferred_.Promise(); }
  void emit(ToJs event);
  // The last thing done with a settler.
  void settle(std::exception_ptr error, ToJs result);

 private:
  Settler(Napi::Env env) : deferred_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise::Deferred deferred_;
  Napi::ThreadSafeFunction calls_;
  Napi::ObjectReference owner_;
  std::weak_ptr<Settler> self_;
};

// A job for the queue, and the promise of its result.
std::shared_ptr<engine::Job> make_job(std::shared_ptr<Settler> settler, Work work);

}  // namespace sdxl::addon
