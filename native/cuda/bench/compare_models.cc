#include <cmath>
#include <cstdio>
#include <functional>

#include "cuda/bench/engine.h"
#include "test/numbers.h"

namespace sdxl::cuda::bench {

namespace {

using engine::Model;
using Numbers = std::vector<float>;

// What the GPU, which rounds every activation, may differ from the CPU, which computes in fp32 with the same weights. Two to three times the error
// of torch against itself on networks of this size and distribution: bf16 against fp32 5.8e-2 for the UNet and 1.5e-2 for the VAE; fp16, with three
// bits more, an eighth. Guidance with weights of −4 and 5 multiplies it, step for step. A kernel that is wrong makes errors near 1.
struct Tolerances {
  double text, unet, latents, picture;
};
constexpr Tolerances kFp16 = {.text = 1e-2, .unet = 2e-2, .latents = 1e-1, .picture = 2e-2};
constexpr Tolerances kBf16Network = {.text = 8e-2, .unet = 1.5e-1, .latents = 5e-1, .picture = 1e-1};
constexpr double kAutoencoder = 4e-2;  // always bf16 on a GPU

Numbers floats_of(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

class Comparison {
 public:
  Comparison(const Options& options, Report& report) : options_(options), report_(report) {
    if (options_.table) std::printf("%-52s %10s %10s %9s\n", "the engine beside itself on the CPU", "error", "tolerance", "CPU s");
  }

  // What `of` gives of the CPU's model and of the GPU's. What fails is wrong. Throws Error(crashed) when the GPU has stopped working.
  void operator()(const std::string& name, Model& cpu, Model& gpu, double tolerance, const std::function<Numbers(Model&)>& of) {
    const double start = seconds_since_1970();
    const Numbers wanted = of(cpu);
    const double seconds = seconds_since_1970() - start;
    note(name, tolerance, seconds, [&] { return test::relative_error(of(gpu), wanted); });
  }
  void same(const std::string& name, Model& gpu, const std::function<Numbers(Model&)>& of) {
    note(name, 0, 0, [&] { return of(gpu) == of(gpu) ? 0 : 1; });
  }

 private:
  void note(const std::string& name, double tolerance, double seconds, const std::function<double()>& error_of) {
    json::Object row = {{"name", string(name)}, {"tolerance", number(tolerance)}, {"cpuSeconds", number(seconds)}};
    try {
      const double error = error_of();
      const bool right = error <= tolerance;
      if (options_.table) std::printf("%-52s %10.2g %10.2g %9.2f%s\n", name.c_str(), error, tolerance, seconds, right ? "" : "  WRONG");
      row.push_back({"error", number(error)});
      report_.add_checked("comparisons", std::move(row), right);
    } catch (const Error& error) {
      if (options_.table) std::printf("%-52s %s\n", name.c_str(), error.what());
      row.push_back({"failure", string(error.what())});
      report_.add_checked("comparisons", std::move(row), false);
      if (error.code == Code::crashed) throw;
    }
    std::fflush(stdout);
  }

  const Options& options_;
  Report& report_;
};

std::string size_text(int64_t height, int64_t width) { return std::to_string(8 * width) + "x" + std::to_string(8 * height); }

// Two items with prompts of their own, as a step with guidance has them.
std::function<Numbers(Model&)> prediction(const std::vector<engine::Conditioning>& prompts, int64_t height, int64_t width, double timestep) {
  engine::PredictRequest request{.latents = test::numbers(2 * 4 * height * width, 1),
                                 .count = 2,
                                 .height = height,
                                 .width = width,
                                 .timestep = timestep,
                                 .context = {},
                                 .pooled = {},
                                 .prompts = 2,
                                 .tokens = prompts[0].tokens,
                                 .sizes = {float(8 * height), float(8 * width), 0, 0, float(8 * height), float(8 * width)},
                                 .loras = {}};
  for (const engine::Conditioning& prompt : prompts) {
    request.context.insert(request.context.end(), prompt.context.begin(), prompt.context.end());
    request.pooled.insert(request.pooled.end(), prompt.pooled.begin(), prompt.pooled.end());
  }
  return [request = std::move(request)](Model& model) { return model.predict(request, kRunning); };
}

std::function<Numbers(Model&)> decoding(int64_t height, int64_t width) {
  return [=](Model& model) {
    Numbers pixels;
    model.decode({.latents = test::numbers(4 * height * width, 2), .count = 1, .height = height, .width = width, .as_floats = true}, kRunning,
                 [&](int64_t, engine::Decoded decoded) { pixels = std::move(decoded.pixels); });
    return pixels;
  };
}

std::function<Numbers(Model&)> sampling(const Pictures& pictures) {
  return [=](Model& model) {
    engine::GenerateRequest request = request_of(pictures);
    request.decodes = false;
    return model.generate(request, kRunning).latents;
  };
}

Numbers picture(Model& model, const Pictures& pictures) {
  engine::GenerateRequest request = request_of(pictures);
  Numbers rgb;
  request.on_image = [&](int, std::vector<uint8_t> drawn) { rgb = floats_of(drawn); };
  model.generate(request, kRunning);
  return rgb;
}

const Tolerances& tolerances_of(const Model& gpu) { return gpu.info().precision == "bf16" ? kBf16Network : kFp16; }

void compare_full(const Options& options, const std::string& checkpoint, Comparison& compare) {
  Model gpu(load_request(checkpoint, "cuda", options.precision), kRunning, open_gpu(options));
  Model cpu(load_request(checkpoint, "cpu", "auto"), kRunning);
  const Tolerances& tolerances = tolerances_of(gpu);
  const int64_t height = options.small ? 6 : 24, width = options.small ? 4 : 32, side = options.small ? 7 : 128;
  const Pictures small{.steps = options.small ? 2 : 4, .guided = true, .height = height, .width = width, .prompt = 1};

  const auto encoded = [](Model& model) { return model.encode_prompt(prompt_of(1), {}, kRunning); };
  compare("text encoders, states", cpu, gpu, tolerances.text, [&](Model& model) { return encoded(model).context; });
  compare("text encoders, pooled", cpu, gpu, tolerances.text, [&](Model& model) { return encoded(model).pooled; });
  const std::vector<engine::Conditioning> prompts = {cpu.encode_prompt(prompt_of(0), {}, kRunning), encoded(cpu)};
  for (const int timestep : {981, 261})
    compare("UNet, batch 2, " + size_text(height, width) + ", timestep " + std::to_string(timestep), cpu, gpu, tolerances.unet,
            prediction(prompts, height, width, timestep));
  compare("steps with guidance, " + size_text(height, width) + ", latents", cpu, gpu, tolerances.latents, sampling(small));
  compare.same("the same again, to the last bit", gpu, sampling(small));
  compare("VAE decode, " + size_text(height, width), cpu, gpu, kAutoencoder, decoding(height, width));
  engine::EncodeImageRequest encode{.picture = {.height = 8 * height, .width = 8 * width}};
  for (int64_t i = 0; i < 64 * height * width * 3; ++i) encode.picture.rgb.push_back(uint8_t(i * 7 / 3));
  compare("VAE encode, " + size_text(height, width), cpu, gpu, kAutoencoder, [&](Model& model) { return model.encode_image(encode, kRunning); });
  // The shapes that are timed, with tiles of their own.
  compare("UNet, batch 2, " + size_text(side, side), cpu, gpu, tolerances.unet, prediction(prompts, side, side, 621));
  compare("VAE decode, " + size_text(side, side), cpu, gpu, kAutoencoder, decoding(side, side));
}

void compare_tiny(const Options& options, const std::string& tiny, Comparison& compare) {
  Model gpu(load_request(tiny, "cuda", options.precision), kRunning, open_gpu(options));
  Model cpu(load_request(tiny, "cpu", "auto"), kRunning);
  const Pictures pictures{.steps = options.small ? 2 : 20, .guided = true, .height = options.small ? 6 : 16, .width = options.small ? 4 : 16, .prompt = 1};
  compare("a picture of the tiny model", cpu, gpu, tolerances_of(gpu).picture, [&](Model& model) { return picture(model, pictures); });
}

}  // namespace

void compare_models(const Options& options, const std::string& checkpoint, const std::string& tiny, Report& report) {
  Comparison compare(options, report);
  if (!tiny.empty()) compare_tiny(options, tiny, compare);
  compare_full(options, checkpoint, compare);
}

}  // namespace sdxl::cuda::bench
