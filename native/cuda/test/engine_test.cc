// Whole models on the CUDA backend, kernels in the emulator, beside the same on the CPU.
#include <cmath>

#include "cuda/test/cuda_backend.h"
#include "engine/test_requests.h"
#include "test/check.h"
#include "test/numbers.h"

namespace sdxl::test {

namespace {

engine::Device on(FakeBackend& fake) { return {.backend = std::move(fake.backend), .id = "cuda:0", .reason = "a test", .narrow = true}; }

double decibels(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  double sum = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) sum += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
  return 10 * std::log10(255. * 255 * double(a.size()) / sum);
}

void check_below(double found, double limit, const std::string& what) {
  check(found <= limit, __FILE__, __LINE__, what + ": " + std::to_string(found) + ", at most " + std::to_string(limit) + " wanted");
}

const engine::CancelFlag kRunning = false;

engine::LoadRequest tiny_as(const std::string& precision) {
  engine::LoadRequest request = engine::tiny(2);
  request.precision = precision;
  return request;
}

std::vector<uint8_t> picture(engine::Model& model, engine::GenerateRequest request) {
  std::vector<uint8_t> rgb;
  request.on_image = [&](int, std::vector<uint8_t> drawn) { rgb = std::move(drawn); };
  model.generate(request, kRunning);
  return rgb;
}

}  // namespace

TEST("cuda engine: pictures are those of the CPU, by the kernels of every family") {
  engine::Model cpu(engine::tiny(2), kRunning);
  const auto wanted = picture(cpu, engine::request(3, {3}, engine::Rng::philox));
  for (const cuda::FakeGpu& gpu : {kAmpereGpu, kHopperGpu}) {
    const bool hopper = gpu.major == 9;
    FakeBackend fake(gpu);
    engine::Model model(tiny_as(hopper ? "bf16" : "auto"), kRunning, on(fake));
    CHECK(model.info().device == "cuda:0" && model.info().backend == (hopper ? "cuda-sm_90a" : "cuda-sm_86"));
    CHECK(model.info().precision == (hopper ? "bf16" : "fp16"));
    const auto found = picture(model, engine::request(3, {3}, engine::Rng::philox));
    // fp16 has 11 bits and bf16 8: three more halve the error three times, 18 dB, of which the VAE, always bf16, takes some.
    check(decibels(found, wanted) >= (hopper ? 38 : 50), __FILE__, __LINE__, gpu.name + ": " + std::to_string(decibels(found, wanted)) + " dB");
    check(fake.fake.last_fault.empty(), __FILE__, __LINE__, fake.fake.last_fault);
    CHECK(fake.fake.calls_of("cuGraphLaunch") == 2);  // of three steps the first is not recorded
  }
}

TEST("cuda engine: what was recorded for one picture draws the next, with other words and noise, until the way of drawing changes") {
  engine::Model cpu(engine::tiny(2), kRunning);
  FakeBackend fake(kAmpereGpu);
  engine::Model gpu(engine::tiny(2), kRunning, on(fake));
  std::vector<int64_t> replays;
  for (const int picture_number : {0, 1, 2}) {
    engine::GenerateRequest request = engine::request(2, {uint64_t(picture_number)}, engine::Rng::philox);
    request.prompts[1] = engine::prompt({picture_number + 400});
    request.tiling.x = picture_number == 2;
    const double found = decibels(picture(gpu, request), picture(cpu, request));
    check(found >= 50, __FILE__, __LINE__, std::to_string(found) + " dB");
    replays.push_back(fake.fake.calls_of("cuGraphLaunch"));
  }
  CHECK((replays == std::vector<int64_t>{1, 3, 4}));
}

TEST("cuda engine: a request with everything, predictions, pictures to latents and back") {
  engine::Model cpu(engine::tiny(2), kRunning);
  FakeBackend fake(kAmpereGpu);
  engine::Model gpu(engine::tiny(2), kRunning, on(fake));
  for (const bool projects : {false, true}) {
    const auto request = engine::everything(2, projects ? std::vector<uint64_t>{3, 4} : std::vector<uint64_t>{4}, projects);
    check_below(relative_error(gpu.generate(request, kRunning).latents, cpu.generate(request, kRunning).latents), 5e-3, "everything");
  }
  engine::DecodeRequest decode{.latents = std::vector<float>(4 * 20 * 12), .count = 1, .height = 20, .width = 12, .as_floats = true};
  for (size_t i = 0; i < decode.latents.size(); ++i) decode.latents[i] = float(std::sin(double(i)));
  for (const int64_t tile : {0, 12}) {
    decode.tile = tile;
    std::vector<std::vector<float>> pixels;
    for (engine::Model* model : {&cpu, &gpu})
      model->decode(decode, kRunning, [&](int64_t, engine::Decoded decoded) { pixels.push_back(std::move(decoded.pixels)); });
    check_below(relative_error(pixels[1], pixels[0]), 3e-2, "decode, tile " + std::to_string(tile));
  }
  engine::EncodeImageRequest encode{.picture = {.height = 64, .width = 40}};
  for (int i = 0; i < 64 * 40 * 3; ++i) encode.picture.rgb.push_back(uint8_t(i * 7 / 3));
  check_below(relative_error(gpu.encode_image(encode, kRunning), cpu.encode_image(encode, kRunning)), 3e-2, "encode");
  check(fake.fake.last_fault.empty(), __FILE__, __LINE__, fake.fake.last_fault);
}

TEST("cuda engine: precisions that a GPU has not, and memory that it has not, are errors; nothing is left behind") {
  {
    FakeBackend fake(kAmpereGpu);
    const Error error = ERROR_OF(engine::Model(tiny_as("fp32"), kRunning, on(fake)));
    CHECK(error.code == Code::invalid_argument && error.message.find("precision 'fp32'") != std::string::npos);
  }
  cuda::FakeGpu small = kAmpereGpu;
  small.memory = size_t(16) << 20;
  {
    FakeBackend fake(small);
    CHECK(ERROR_OF(engine::Model(engine::tiny(2), kRunning, on(fake))).code == Code::out_of_memory);
  }
  CHECK(fake_cuda().live() == 0);
}

}  // namespace sdxl::test
