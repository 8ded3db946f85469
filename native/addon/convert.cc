#include "addon/convert.h"

#include <algorithm>
#include <cstring>

namespace sdxl::addon {

namespace {

[[noreturn]] void mismatch(const char* name, const std::string& wanted) {
  throw Error(Code::internal, std::string("the engine was sent a wrong value for ") + name + ": " + wanted + " wanted");
}

double number(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsNumber()) mismatch(name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

std::vector<std::string> texts(const Napi::Object& from, const char* name) {
  const auto list = from.Get(name).As<Napi::Array>();
  std::vector<std::string> result;
  for (uint32_t i = 0; i < list.Length(); ++i) result.push_back(list.Get(i).ToString().Utf8Value());
  return result;
}

template <class T>
std::vector<T> array(const Napi::Object& from, const char* name, napi_typedarray_type type) {
  const Napi::Value value = from.Get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) mismatch(name, "a typed array");
  const auto view = value.As<Napi::TypedArrayOf<T>>();
  return {view.Data(), view.Data() + view.ElementLength()};
}

// Reads the flat form of a plan: see lib/sampling/encode-plan.ts, which writes it.
class PlanReader {
 public:
  explicit PlanReader(std::vector<double> numbers) : numbers_(std::move(numbers)) {}

  engine::Plan read() {
    engine::Plan plan;
    plan.registers = std::max(engine::Plan::kFirstOwn, count());
    plan.steps_total = count();
    plan.initial = next();
    while (at_ < numbers_.size()) {
      engine::Plan::Step step{};
      step.index = count();
      if ((step.calls_model = next() != 0)) {
        step.call.sigma = next(), step.call.timestep = next();
        step.call.input = terms(plan);
      }
      step.writes.resize(size_t(count()));
      for (auto& write : step.writes) {
        write.reg = target(plan), write.masked = next() != 0;
        write.terms = terms(plan);
        if (write.masked) write.outside = terms(plan);
      }
      plan.steps.push_back(std::move(step));
    }
    return plan;
  }

 private:
  double next() {
    if (at_ == numbers_.size()) mismatch("plan", "more numbers");
    return numbers_[at_++];
  }
  int count() {
    const double n = next();
    if (!(n >= 0 && n <= 1e6)) mismatch("plan", "a count");
    return int(n);
  }
  int target(const engine::Plan& plan) {
    const int reg = count();
    if (reg >= plan.registers || (reg != engine::Plan::kX && reg < engine::Plan::kFirstOwn)) mismatch("plan", "a register that can be written");
    return reg;
  }
  std::vector<engine::Plan::Term> terms(const engine::Plan& plan) {
    std::vector<engine::Plan::Term> list(static_cast<size_t>(count()));
    for (auto& term : list) {
      term.coefficient = next();
      const double reg = next();
      if (!(reg >= -1e6 && reg < plan.registers)) mismatch("plan", "a register below " + std::to_string(plan.registers));
      term.reg = int(reg);
    }
    return list;
  }

  std::vector<double> numbers_;
  size_t at_ = 0;
};

std::vector<float> sizes(const Napi::Object& from) { return floats(from, "sizes", 6); }

std::vector<uint64_t> seeds(const Napi::Object& from, size_t wanted = 0) {
  std::vector<uint64_t> result;
  for (const double seed : array<double>(from, "seeds", napi_float64_array)) result.push_back(uint64_t(seed));
  if (result.empty() || (wanted && result.size() != wanted)) mismatch("seeds", "one for each picture");
  return result;
}

// None, or `one` values for all pictures together or for each of them.
std::vector<float> for_pictures(const Napi::Object& from, const char* name, size_t pictures, int64_t one) {
  if (!present(from, name)) return {};
  auto values = array<float>(from, name, napi_float32_array);
  if (one <= 0 || (int64_t(values.size()) != one && int64_t(values.size()) != int64_t(pictures) * one))
    mismatch(name, std::to_string(one) + " values, or as many for each picture");
  return values;
}

// Five numbers each; see NativeText.
std::vector<engine::Hidden> hidden(const Napi::Object& from, size_t chunks) {
  constexpr size_t kEach = 5;
  const auto numbers = array<double>(from, "hidden", napi_float64_array);
  std::vector<engine::Hidden> result;
  for (size_t i = 0; i + kEach <= numbers.size(); i += kEach) {
    const double* n = &numbers[i];
    const engine::Hidden h{.encoder = int(n[0]), .chunk = size_t(n[1]), .from = int(n[2]), .to = int(n[3]), .share = n[4]};
    if (h.chunk >= chunks || h.from < 1 || h.to < h.from || h.to > int(engine::Chunk::kLength)) mismatch("hidden", "tokens of a chunk");
    result.push_back(h);
  }
  return result;
}

engine::Text prompt_text(const Napi::Object& from) {
  constexpr size_t kLength = engine::Chunk::kLength;
  const auto ids = array<int32_t>(from, "ids", napi_int32_array), ids2 = array<int32_t>(from, "ids2", napi_int32_array);
  const size_t chunks = ids.size() / kLength;
  const auto weights = floats(from, "weights", int64_t(chunks * kLength)), weights2 = floats(from, "weights2", int64_t(chunks * kLength));
  const auto strengths = floats(from, "strengths", int64_t(chunks));
  if (chunks == 0 || ids.size() != chunks * kLength || ids2.size() != ids.size()) mismatch("ids", "whole chunks of 77");

  engine::Text result;
  result.chunks.resize(chunks);
  for (size_t c = 0; c < chunks; ++c) {
    engine::Chunk& chunk = result.chunks[c];
    std::copy_n(ids.begin() + long(c * kLength), kLength, chunk.ids.begin());
    std::copy_n(ids2.begin() + long(c * kLength), kLength, chunk.ids2.begin());
    std::copy_n(weights.begin() + long(c * kLength), kLength, chunk.weights.begin());
    std::copy_n(weights2.begin() + long(c * kLength), kLength, chunk.weights2.begin());
    chunk.strength = strengths[c];
  }
  result.hidden = hidden(from, chunks);
  if (present(from, "pooled")) {
    const auto pooled = array<int32_t>(from, "pooled", napi_int32_array);
    if (pooled.size() != kLength) mismatch("pooled", "77 tokens");
    std::copy_n(pooled.begin(), kLength, result.pooled.emplace().begin());
  }
  return result;
}

engine::Branch branch(const Napi::Object& from, size_t calls, size_t prompts) {
  const auto indices = array<int32_t>(from, "prompts", napi_int32_array);
  auto weights = array<double>(from, "weights", napi_float64_array);
  if (indices.size() != calls || weights.size() != calls) mismatch("branches", "a prompt and a weight for each model call");
  for (const int32_t index : indices)
    if (index < -1 || index >= int64_t(prompts)) mismatch("branches", "indices of prompts");
  return {from.Get("unconditional").ToBoolean(), {indices.begin(), indices.end()}, std::move(weights)};
}

std::vector<engine::Prompt> prompt_list(const Napi::Object& from) {
  std::vector<engine::Prompt> result;
  const auto list = from.Get("prompts").As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) result.push_back(prompt(list.Get(i).As<Napi::Object>()));
  return result;
}

// The calls [first, last) of `calls` are the network's own: in each of them some branch counts.
std::vector<engine::Branch> branch_list(const Napi::Object& from, size_t calls, size_t first, size_t last, size_t prompts) {
  std::vector<engine::Branch> result;
  const auto list = from.Get("branches").As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) {
    result.push_back(branch(list.Get(i).As<Napi::Object>(), calls, prompts));
    if (i > 0 && result.back().unconditional) mismatch("branches", "the unconditional one first");
  }
  for (size_t call = first; call < last; ++call)
    if (std::none_of(result.begin(), result.end(), [&](const engine::Branch& b) { return b.weights[call] != 0; }))
      mismatch("branches", "one that counts in each call");
  return result;
}

std::string text_or_none(const Napi::Object& from, const char* name) { return present(from, name) ? text(from, name) : ""; }

engine::RefinerRequest refiner_request(const Napi::Object& from, size_t calls) {
  engine::RefinerRequest request;
  const int64_t first = integer(from, "from");
  if (first < 0 || first > int64_t(calls)) mismatch("refiner.from", "a model call");
  request.from = int(first);
  request.prompts = prompt_list(from);
  request.branches = branch_list(from, calls, size_t(first), calls, request.prompts.size());
  request.sizes = floats(from, "sizes", 5 * int64_t(request.branches.size()));
  return request;
}

}  // namespace

bool present(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  return !value.IsUndefined() && !value.IsNull();
}

std::string text(const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (!value.IsString()) mismatch(name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

int64_t integer(const Napi::Object& from, const char* name) { return int64_t(number(from, name)); }

std::vector<float> floats(const Napi::Object& from, const char* name, int64_t wanted) {
  auto values = array<float>(from, name, napi_float32_array);
  if (int64_t(values.size()) != wanted) mismatch(name, std::to_string(wanted) + " values");
  return values;
}

std::vector<uint8_t> bytes(const Napi::Object& from, const char* name, int64_t wanted) {
  auto values = array<uint8_t>(from, name, napi_uint8_array);
  if (int64_t(values.size()) != wanted) mismatch(name, std::to_string(wanted) + " bytes");
  return values;
}

// "", "none", "model" or "layers".
std::string offload(const Napi::Object& from) {
  const std::string value = text_or_none(from, "offload");
  if (!value.empty() && value != "none" && value != "model" && value != "layers") mismatch("offload", "'none', 'model' or 'layers'");
  return value;
}

engine::LoadRequest load_request(const Napi::Object& from) {
  return {
      .path = text(from, "path"),
      .vae = text(from, "vae"),
      .text_encoder = text_or_none(from, "textEncoder"),
      .text_encoder_2 = text_or_none(from, "textEncoder2"),
      .taesd = text_or_none(from, "taesd"),
      .refiner = text_or_none(from, "refiner"),
      .prediction = text_or_none(from, "prediction"),
      .device = text(from, "device"),
      .precision = text(from, "precision"),
      .embeddings = texts(from, "embeddings"),
      .threads = int(integer(from, "threads")),
      .memory_budget = integer(from, "memoryBudget"),
      .offload = offload(from),
      .progress = {},
  };
}

model::Tiling tiling(const Napi::Object& from) {
  if (!present(from, "tiling")) return {};
  const auto axes = from.Get("tiling").As<Napi::Object>();
  return {.x = axes.Get("x").ToBoolean(), .y = axes.Get("y").ToBoolean()};
}

engine::PreviewRequest preview_request(const Napi::Object& from) {
  engine::PreviewRequest request{.every = int(integer(from, "every"))};
  if (request.every < 1) mismatch("preview.every", "at least 1");
  const std::string method = text(from, "method");
  if (method == "linear") request.method = engine::PreviewMethod::linear;
  else if (method == "taesd") request.method = engine::PreviewMethod::taesd;
  else if (method == "vae") request.method = engine::PreviewMethod::vae;
  else mismatch("preview.method", "a known method");
  return request;
}

lora::LoraUse lora_use(const Napi::Object& from) { return {text(from, "path"), float(number(from, "unet")), float(number(from, "textEncoder"))}; }

engine::LoraRequest lora_request(const Napi::Object& from) {
  engine::LoraRequest request{.loras = {}, .directory = text(from, "loraDirectory")};
  const auto loras = from.Get("loras").As<Napi::Array>();
  for (uint32_t i = 0; i < loras.Length(); ++i) {
    const auto lora = loras.Get(i).As<Napi::Object>();
    request.loras.push_back({text(lora, "name"), lora_use(lora)});
  }
  return request;
}

engine::Prompt prompt(const Napi::Object& from) {
  engine::Prompt result;
  const auto texts = from.Get("texts").As<Napi::Array>();
  for (uint32_t i = 0; i < texts.Length(); ++i) {
    const auto text = texts.Get(i).As<Napi::Object>();
    result.texts.emplace_back(number(text, "weight"), prompt_text(text));
  }
  if (result.texts.empty()) mismatch("texts", "at least one");
  for (const auto& [weight, text] : result.texts)
    if (text.chunks.size() != result.texts[0].second.chunks.size()) mismatch("texts", "as many chunks in each");
  const std::string emphasis = text(from, "emphasis");
  if (emphasis == "a1111") result.emphasis = engine::Emphasis::a1111;
  else if (emphasis == "no-norm") result.emphasis = engine::Emphasis::no_norm;
  else if (emphasis == "comfy") result.emphasis = engine::Emphasis::comfy;
  else if (emphasis == "compel") result.emphasis = engine::Emphasis::compel;
  else if (emphasis == "ignore") result.emphasis = engine::Emphasis::ignore;
  else mismatch("emphasis", "a known mode");
  result.clip_skip = int(integer(from, "clipSkip"));
  return result;
}

engine::GenerateRequest generate_request(const Napi::Object& from, const engine::ModelInfo& info) {
  engine::GenerateRequest request;
  request.plan = PlanReader(array<double>(from, "plan", napi_float64_array)).read();
  const size_t calls = size_t(request.plan.calls());
  if (present(from, "refiner")) {
    if (!info.has_refiner) mismatch("refiner", "a model loaded with one");
    request.refiner = refiner_request(from.Get("refiner").As<Napi::Object>(), calls);
  }
  request.prompts = prompt_list(from);
  request.branches = branch_list(from, calls, 0, request.refiner ? size_t(request.refiner->from) : calls, request.prompts.size());
  request.rescale = number(from, "rescale");
  if (present(from, "projection")) {
    if (request.rescale != 0) mismatch("rescale", "0 beside a projection");
    const auto projection = from.Get("projection").As<Napi::Object>();
    request.projection = {number(projection, "eta"), number(projection, "limit"), number(projection, "momentum")};
  }
  request.loras = lora_request(from);

  request.height = integer(from, "height"), request.width = integer(from, "width");
  if (request.height <= 0 || request.width <= 0) mismatch("height, width", "positive numbers");
  request.seeds = seeds(from);
  const size_t pictures = request.seeds.size();
  const int64_t pixels = request.height * request.width, one = info.latent_channels * pixels, beside = (info.in_channels - info.latent_channels) * pixels;
  request.rng = text(from, "rng") == "torch-cpu" ? engine::Rng::torch_cpu : engine::Rng::philox;
  if (present(from, "noise")) request.start = floats(from, "noise", int64_t(pictures) * one);
  if (present(from, "variation")) {
    const auto variation = from.Get("variation").As<Napi::Object>();
    request.variation = {seeds(variation, pictures), number(variation, "strength")};
  }
  request.init = for_pictures(from, "init", pictures, one);
  if (request.init.empty() && request.plan.reads(engine::Plan::kInit)) mismatch("init", "the latents that the plan reads");
  if (present(from, "mask")) request.mask = floats(from, "mask", pixels);
  if (request.mask.empty() && request.plan.masks()) mismatch("mask", "the mask that the plan writes behind");
  request.extra = for_pictures(from, "extra", pictures, beside);
  if (request.extra.empty() && beside > 0) mismatch("extra", "what the network reads beside the latents");
  request.sizes = sizes(from);
  request.decodes = text(from, "output") == "images";
  request.tiling = tiling(from);
  if (present(from, "preview")) request.preview = preview_request(from.Get("preview").As<Napi::Object>());
  return request;
}

engine::PredictRequest predict_request(const Napi::Object& from, const engine::ModelInfo& info) {
  engine::PredictRequest request;
  request.count = integer(from, "count"), request.height = integer(from, "height"), request.width = integer(from, "width");
  request.prompts = integer(from, "prompts"), request.tokens = integer(from, "tokens");
  if (request.prompts <= 0 || request.tokens <= 0 || request.count % std::max<int64_t>(request.prompts, 1)) mismatch("prompts", "a divisor of count");
  request.timestep = number(from, "timestep");
  request.loras = lora_request(from);
  request.latents = floats(from, "latents", request.count * info.in_channels * request.height * request.width);
  request.context = floats(from, "context", request.prompts * request.tokens * info.context_width);
  request.pooled = floats(from, "pooled", request.prompts * info.pooled_width);
  request.sizes = sizes(from);
  request.tiling = tiling(from);
  return request;
}

void emit_progress(const Emit& emit, const std::string& phase, int64_t loaded, int64_t total) {
  emit([=](Napi::Env env) {
    Napi::Object event = Napi::Object::New(env);
    event.Set("phase", phase), event.Set("loaded", double(loaded)), event.Set("total", double(total));
    return event;
  });
}

Napi::Value to_js(Napi::Env env, const std::vector<float>& values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  std::memcpy(array.Data(), values.data(), values.size() * sizeof(float));
  return array;
}

Napi::Value to_js(Napi::Env env, const std::vector<uint8_t>& values) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, values.size());
  std::memcpy(array.Data(), values.data(), values.size());
  return array;
}

Napi::Value to_js(Napi::Env env, const std::vector<std::string>& values) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); ++i) array.Set(uint32_t(i), values[i]);
  return array;
}

Napi::Value to_js(Napi::Env env, const std::vector<engine::Warning>& warnings) {
  Napi::Array array = Napi::Array::New(env, warnings.size());
  for (size_t i = 0; i < warnings.size(); ++i) {
    Napi::Object warning = Napi::Object::New(env);
    warning.Set("code", warnings[i].code), warning.Set("message", warnings[i].message);
    array.Set(uint32_t(i), warning);
  }
  return array;
}

Napi::Value to_js(Napi::Env env, const engine::ModelInfo& info) {
  Napi::Object to = Napi::Object::New(env);
  to.Set("path", info.path);
  to.Set("family", info.family);
  to.Set("prediction", info.prediction);
  to.Set("device", info.device);
  to.Set("precision", info.precision);
  to.Set("backend", info.backend);
  to.Set("reason", info.reason);
  to.Set("resolution", info.resolution);
  to.Set("title", info.title);
  to.Set("markers", to_js(env, info.markers));
  to.Set("unet", double(info.unet));
  to.Set("textEncoder", double(info.text_encoder));
  to.Set("textEncoder2", double(info.text_encoder_2));
  to.Set("vae", double(info.vae));
  to.Set("latentChannels", double(info.latent_channels));
  to.Set("scale", double(info.scale));
  to.Set("inChannels", double(info.in_channels));
  to.Set("hasRefiner", info.has_refiner);
  to.Set("hasTaesd", info.has_taesd);
  to.Set("contextWidth", double(info.context_width));
  to.Set("pooledWidth", double(info.pooled_width));
  to.Set("weightBytes", double(info.weight_bytes));
  Napi::Array embeddings = Napi::Array::New(env, info.embeddings.size());
  for (size_t i = 0; i < info.embeddings.size(); ++i) embeddings.Set(uint32_t(i), double(info.embeddings[i]));
  to.Set("embeddings", embeddings);
  return to;
}

}  // namespace sdxl::addon
