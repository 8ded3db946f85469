// Requests as lib/ sends them become the engine's structs. lib/ has checked what users gave; here only memory safety is checked.
#pragma once

#include <napi.h>

#include "addon/task.h"
#include "engine/model.h"

namespace sdxl::addon {

engine::LoadRequest load_request(const Napi::Object& from);
lora::LoraUse lora_use(const Napi::Object& from);
engine::LoraRequest lora_request(const Napi::Object& from);
engine::Prompt prompt(const Napi::Object& from);
engine::GenerateRequest generate_request(const Napi::Object& from, const engine::ModelInfo& info);
engine::PredictRequest predict_request(const Napi::Object& from, const engine::ModelInfo& info);
bool present(const Napi::Object& from, const char* name);  // neither undefined nor null
std::vector<uint8_t> bytes(const Napi::Object& from, const char* name, int64_t wanted);
// The member `tiling`; absent: none.
model::Tiling tiling(const Napi::Object& from);
std::vector<float> floats(const Napi::Object& from, const char* name, int64_t wanted);
int64_t integer(const Napi::Object& from, const char* name);
std::string text(const Napi::Object& from, const char* name);

// The event { phase, loaded, total } of long work on files; bytes.
void emit_progress(const Emit& emit, const std::string& phase, int64_t loaded, int64_t total);

Napi::Value to_js(Napi::Env env, const engine::ModelInfo& info);
Napi::Value to_js(Napi::Env env, const std::vector<float>& values);
Napi::Value to_js(Napi::Env env, const std::vector<uint8_t>& values);
Napi::Value to_js(Napi::Env env, const std::vector<std::string>& values);
Napi::Value to_js(Napi::Env env, const std::vector<engine::Warning>& warnings);

}  // namespace sdxl::addon
