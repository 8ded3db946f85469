// Weights in the host's memory that take turns on the GPU. The fake driver works as late as it may, or copies as early as it may: what waits
// for too little is wrong in one of both.
#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <tuple>

#include "cuda/test/cuda_backend.h"
#include "cuda/test/emulated.h"
#include "engine/test_requests.h"
#include "weights/lora/test_lora.h"

namespace sdxl::test {

namespace {

const engine::CancelFlag kRunning = false;
constexpr int64_t kIn = 32;
constexpr size_t kUnit = 1024;  // bytes of a weight of one unit: 16 rows

// Linear layers without a model.
class Layers {
 public:
  // Room for so many units; 0: weights stay.
  explicit Layers(size_t room, bool early = false) : fake(kAmpereGpu) {
    fake.fake.early_uploads = early;
    if (room > 0) {
      fake.backend->offload_weights();
      fake.backend->make_room_for_weights(int64_t(room * kUnit));
    }
    x_ = drawn({5, kIn}, 1000);
  }

  ops::PackedPtr weight(int64_t units, uint64_t seed) {
    const FileBytes file(numbers(16 * units * kIn, seed), DType::f32);
    return fake.backend->pack(ops::PackLinear{.parts = {file.rows(16 * units, kIn)}, .storage = ops::Storage::f16});
  }
  // A low-rank addition of one unit to a weight of `units`: [16, in] and [16 · units, 16].
  ops::PackedPtr up(int64_t units, uint64_t seed) {
    const FileBytes file(numbers(16 * units * 16, seed), DType::f32);
    return fake.backend->pack(ops::PackLinear{.parts = {file.rows(16 * units, 16)}, .storage = ops::Storage::f16});
  }
  Array product(const ops::Packed& weight, int64_t units, const ops::LowRank& added = {}) {
    Array y = fake.backend->arena().take({5, 16 * units}, DType::f16);
    fake.backend->run(ops::Linear{.x = x_, .weight = &weight, .bias = {}, .residual = {}, .y = y, .added = added});
    return y;
  }
  std::vector<float> values(const Array& array) {
    const ops::HostView view = fake.backend->view(array);
    return {view.values.data(), view.values.data() + array.elements()};
  }

  FakeBackend fake;

 private:
  Array drawn(Shape shape, uint64_t seed) {
    Array host = fake.backend->host().take(shape);
    std::ranges::copy(numbers(shape.elements(), seed), host.data());
    return fake.backend->to_device(std::move(host), DType::f16);
  }
  Array x_;
};

// Layers in an order that repeats, then does not; some with additions, some dropped and packed anew while all work may still be to come.
std::vector<std::vector<float>> walk(Layers& layers) {
  constexpr int64_t kUnits[] = {1, 4, 2, 3, 1, 4, 2, 1, 3, 2};
  constexpr size_t kCount = std::size(kUnits);
  std::vector<ops::PackedPtr> weights, ups;
  for (size_t i = 0; i < kCount; ++i) weights.push_back(layers.weight(kUnits[i], i)), ups.push_back(layers.up(kUnits[i], 100 + i));
  const ops::PackedPtr down = layers.weight(1, 99);
  std::vector<Array> products;
  const auto use = [&](size_t i) {
    products.push_back(layers.product(*weights[i], kUnits[i], i % 3 ? ops::LowRank{} : ops::LowRank{down.get(), ups[i].get()}));
  };
  for (int round = 0; round < 3; ++round)
    for (size_t i = 0; i < kCount; ++i) use(i);
  for (const size_t i : {5, 5, 2, 9, 1}) use(i);
  for (const size_t i : {2, 6}) weights[i] = layers.weight(kUnits[i], 200 + i);
  std::mt19937 random(7);
  for (int i = 0; i < 40; ++i) use(random() % kCount);
  std::vector<std::vector<float>> found;
  for (const Array& y : products) found.push_back(layers.values(y));
  return found;
}

// The tiny model on a GPU, with its weights in the host's memory or, for "none", not.
struct OnGpu {
  OnGpu(const std::string& offload, int64_t budget, bool early = false) : fake(kAmpereGpu, 2, size_t(budget)) {
    fake.fake.early_uploads = early;
    engine::LoadRequest request = engine::tiny(2);
    request.offload = offload, request.memory_budget = budget;
    model.emplace(request, kRunning, engine::Device{.backend = std::move(fake.backend), .id = "cuda:0", .reason = "a test", .narrow = true});
  }

  std::vector<uint8_t> picture(uint64_t seed, const engine::LoraRequest& loras, int steps = 3, const engine::CancelFlag& cancelled = kRunning) {
    engine::GenerateRequest request = engine::request(steps, {seed}, engine::Rng::philox);
    request.height = height, request.width = width;
    for (engine::Prompt& prompt : request.prompts) prompt.texts[0].second.chunks.resize(1);
    request.loras = loras;
    std::vector<uint8_t> rgb;
    request.on_image = [&](int, std::vector<uint8_t> drawn) { rgb = std::move(drawn); };
    request.on_step = [&](int step, double, double) { on_step(step); };
    model->generate(request, cancelled);
    return rgb;
  }

  FakeBackend fake;
  int64_t height = 4, width = 3;
  std::function<void(int)> on_step = [](int) {};
  std::optional<engine::Model> model;
};

bool stopped_after_a_step(OnGpu& gpu) {
  engine::CancelFlag cancelled = false;
  gpu.on_step = [&](int) { cancelled = true; };
  try {
    gpu.picture(7, {}, 3, cancelled);
  } catch (const Cancelled&) {
    gpu.on_step = [](int) {};
    return true;
  }
  return false;
}

// Of low rank for some layers, and one that is merged.
engine::LoraRequest some_loras(const weights::test::TempFolder& folder) {
  const std::string block = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_";
  std::vector<weights::test::TestTensor> tensors;
  lora::test::add_layer(tensors, block + "attn1_to_q", {64, 64});
  lora::test::add_layer(tensors, block + "ff_net_2", {64, 256});
  lora::test::add_layer(tensors, "lora_te1_text_model_encoder_layers_0_self_attn_q_proj", {64, 64});
  tensors.push_back(lora::test::numbers(block + "attn1_to_out_0.diff", {64, 64}));
  return {.loras = {{"", {folder.write("some.safetensors", weights::test::safetensors_bytes(tensors)), 0.3f, 0.3f}}}, .directory = ""};
}

}  // namespace

TEST("cuda offload: layers give the same bytes whatever room their weights take turns in, copied late or early") {
  Layers staying(0);
  const auto wanted = walk(staying);
  // At most seven units are in use at once; the last two of them find a gap in eleven wherever the others are.
  for (const size_t room : {11, 12, 13, 16, 64})
    for (const bool early : {false, true}) {
      Layers layers(room, early);
      const auto found = walk(layers);
      const std::string what = std::to_string(room) + " units, " + (early ? "early" : "late");
      for (size_t i = 0; i < wanted.size(); ++i) check(found[i] == wanted[i], __FILE__, __LINE__, what + ": product " + std::to_string(i));
      check(layers.fake.fake.last_fault.empty(), __FILE__, __LINE__, what + ": " + layers.fake.fake.last_fault);
    }
}

TEST("cuda offload: from the second round on weights travel before they are used, one for each that was") {
  Layers layers(16);
  std::vector<ops::PackedPtr> weights;
  for (uint64_t i = 0; i < 10; ++i) weights.push_back(layers.weight(4, i));
  const auto& calls = layers.fake.fake.calls;
  std::vector<Array> products;
  for (int round = 0; round < 3; ++round)
    for (size_t i = 0; i < weights.size(); ++i) {
      const size_t before = calls.size();
      products.push_back(layers.product(*weights[i], 4));
      const auto first = calls.begin() + long(before);
      const auto copy = std::find(first, calls.end(), "cuMemcpyHtoDAsync_v2"), launch = std::find(first, calls.end(), "cuLaunchKernel");
      const auto wait = std::find(first, calls.end(), "cuStreamWaitEvent");
      CHECK(launch != calls.end() && wait < launch);
      // The first weight of the second round is not known to follow before it does.
      const bool known = round > 1 || (round == 1 && i > 0);
      CHECK(known ? copy > launch : copy < launch);
      if (round > 1) CHECK(std::count(first, calls.end(), "cuMemcpyHtoDAsync_v2") == 1);
    }
}

TEST("cuda offload: weights that fit stay where they are") {
  Layers layers(48);
  std::vector<ops::PackedPtr> weights;
  for (uint64_t i = 0; i < 10; ++i) weights.push_back(layers.weight(4, i));
  std::vector<Array> products;
  for (int round = 0; round < 3; ++round) {
    const int64_t before = layers.fake.fake.calls_of("cuMemcpyHtoDAsync_v2");
    for (const ops::PackedPtr& weight : weights) products.push_back(layers.product(*weight, 4));
    CHECK(layers.fake.fake.calls_of("cuMemcpyHtoDAsync_v2") - before == (round ? 0 : 10));
  }
}

TEST("cuda offload: a weight too large for the room is an error with its bytes, and so is host memory that cannot be pinned") {
  Layers layers(3);
  const ops::PackedPtr large = layers.weight(4, 1), small = layers.weight(1, 2);
  const Error error = ERROR_OF(layers.product(*large, 4));
  CHECK(error.code == Code::out_of_memory && error.message.find("4096 bytes wanted") != std::string::npos);
  CHECK(error.message.find("of the 3072 that") != std::string::npos);
  Layers other(0);
  const ops::PackedPtr same = other.weight(1, 2);
  CHECK(layers.values(layers.product(*small, 1)) == other.values(other.product(*same, 1)));

  FakeBackend fake(kAmpereGpu);
  fake.fake.pinnable = size_t(32) << 20;
  fake.backend->offload_weights();
  const FileBytes file(numbers(1 << 20, 1), DType::f32);
  std::vector<ops::PackedPtr> weights;
  const Error full =
      ERROR_OF(for (;;) weights.push_back(fake.backend->pack(ops::PackLinear{.parts = {file.rows(1 << 10, 1 << 10)}, .storage = ops::Storage::f16})));
  CHECK(full.code == Code::out_of_memory && full.message.find("2097152 bytes of pinned host memory") != std::string::npos);
}

TEST(
    "cuda offload: pictures are the same bytes with parts or layers taking turns, within the budget, also after one that "
    "was cancelled, and nothing is left behind") {
  const weights::test::TempFolder folder;
  const engine::LoraRequest loras = some_loras(folder);
  const auto draw = [&](OnGpu& gpu) { return std::vector{gpu.picture(3, {}), gpu.picture(3, loras)}; };
  std::vector<std::vector<uint8_t>> wanted;
  int64_t weights = 0;
  {
    OnGpu gpu("none", 0);
    wanted = draw(gpu);
    weights = gpu.model->info().weight_bytes;
    CHECK(wanted[0] != wanted[1]);
  }
  constexpr int64_t kUnet = 15 << 20, kLayers = 10 << 20;
  for (const auto& [offload, budget, early] : {std::tuple{"model", int64_t(22 << 20), false}, {"layers", kLayers, true}}) {
    OnGpu gpu(offload, budget, early);
    const bool layers = offload == std::string("layers");
    if (early) CHECK(stopped_after_a_step(gpu));
    const auto found = draw(gpu);
    if (layers) {  // its latents alone would pass what the weights leave of the budget
      gpu.height = gpu.width = 400;
      CHECK(ERROR_OF(gpu.picture(3, {})).code == Code::out_of_memory);
    }
    const int64_t peak = int64_t(gpu.fake.fake.peak()), ring = gpu.model->info().weight_bytes;
    const std::string what = offload + std::string(early ? ", early: " : ", late: ") + std::to_string(peak) + " bytes, weights " + std::to_string(ring);
    check(found == wanted, __FILE__, __LINE__, what);
    check(gpu.fake.fake.last_fault.empty(), __FILE__, __LINE__, gpu.fake.fake.last_fault);
    check(peak <= budget && gpu.model->peak_bytes() <= peak && ring < weights && (ring < kUnet) == layers, __FILE__, __LINE__, what);
  }
  CHECK(fake_cuda().live() == 0);
}

TEST("cuda offload: a model that does not fit its budget is an error that says what would") {
  const auto refused = [](const std::string& offload, int64_t budget) {
    const Error error = ERROR_OF(OnGpu(offload, budget));
    CHECK(error.code == Code::out_of_memory);
    return error.message;
  };
  CHECK(refused("none", 20 << 20).find("; memory.offload 'model' or 'layers' keeps") != std::string::npos);
  CHECK(refused("model", 10 << 20).find("memory.offload 'layers' needs") != std::string::npos);
  CHECK(refused("layers", 3 << 19).find("two of the model's largest weights need 1") != std::string::npos);
  CHECK(fake_cuda().live() == 0);
}

}  // namespace sdxl::test
