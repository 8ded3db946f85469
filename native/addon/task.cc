#include "addon/task.h"

#include <new>

#include "core/error.h"

namespace sdxl::addon {

namespace {

Napi::Value detail_to_js(Napi::Env env, const Detail& detail) {
  const auto array = [&](const auto& values, auto convert) -> Napi::Value {
    Napi::Array list = Napi::Array::New(env, values.size());
    for (size_t i = 0; i < values.size(); ++i) list.Set(uint32_t(i), convert(values[i]));
    return list;
  };
  const auto text = [&](const std::string& s) { return Napi::String::New(env, s); };
  const auto number = [&](int64_t n) { return Napi::Number::New(env, double(n)); };
  if (const auto* s = std::get_if<std::string>(&detail)) return text(*s);
  if (const auto* n = std::get_if<int64_t>(&detail)) return number(*n);
  if (const auto* list = std::get_if<std::vector<std::string>>(&detail)) return array(*list, text);
  return array(std::get<std::vector<int64_t>>(detail), number);
}

Napi::Value make_error(Napi::Env env, const char* code, const std::string& message, const std::vector<std::pair<std::string, Detail>>& details = {}) {
  Napi::Object error = Napi::Error::New(env, message).Value();
  Napi::Object values = Napi::Object::New(env);
  for (const auto& [name, detail] : details) values.Set(name, detail_to_js(env, detail));
  error.Set("code", code);
  error.Set("details", values);
  return error;
}

}  // namespace

Napi::Value to_js(Napi::Env env, std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return make_error(env, name_of(e.code), e.message, e.details);
  } catch (const Cancelled&) {
    return make_error(env, "CANCELLED", "cancelled");
  } catch (const std::bad_alloc&) {
    return make_error(env, name_of(Code::out_of_memory), "out of memory");
  } catch (const std::exception& e) {
    return make_error(env, name_of(Code::internal), e.what());
  } catch (...) {
    return make_error(env, name_of(Code::internal), "unknown native exception");
  }
}

std::shared_ptr<Settler> Settler::create(Napi::Env env, Napi::Object owner, Napi::Value on_event) {
  const std::shared_ptr<Settler> settler(new Settler(env));
  const Napi::Function callback = on_event.IsFunction() ? on_event.As<Napi::Function>() : Napi::Function::New(env, [](const Napi::CallbackInfo&) {});
  settler->calls_ = Napi::ThreadSafeFunction::New(env, callback, "node-sdxl", 0, 1);
  settler->owner_ = Napi::Persistent(owner);
  settler->owner_.SuppressDestruct();
  settler->self_ = settler;
  return settler;
}

void Settler::emit(ToJs event) {
  calls_.NonBlockingCall([event = std::move(event)](Napi::Env env, Napi::Function callback) { callback.Call({event(env)}); });
}

void Settler::settle(std::exception_ptr error, ToJs result) {
  const napi_status status = calls_.NonBlockingCall([self = self_.lock(), error, result = std::move(result)](Napi::Env env, Napi::Function) {
    std::exception_ptr failure = error;
    if (!failure) try {
        self->deferred_.Resolve(result(env));
      } catch (...) {  // such as a result too large for JavaScript
        failure = std::current_exception();
      }
    if (failure) self->deferred_.Reject(to_js(env, failure));
    self->owner_.Reset();
  });
  if (status != napi_closing) calls_.Release();
}

std::shared_ptr<engine::Job> make_job(std::shared_ptr<Settler> settler, Work work) {
  auto job = std::make_shared<engine::Job>();
  const auto result = std::make_shared<ToJs>();
  job->work = [settler, result, work = std::move(work)](const std::atomic<bool>& cancelled) {
    *result = work(cancelled, [settler](ToJs event) { settler->emit(std::move(event)); });
  };
  job->done = [settler, result](std::exception_ptr error) { settler->settle(error, std::move(*result)); };
  return job;
}

}  // namespace sdxl::addon
