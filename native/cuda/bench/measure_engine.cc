#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <optional>

#include "cuda/bench/engine.h"
#include "test/numbers.h"

namespace sdxl::cuda::bench {

namespace {

using engine::Model;

struct Goal {
  double value;
  bool at_least = false;
};

class Table {
 public:
  Table(const Options& options, Report& report) : options_(options), report_(report) {}

  void add(const std::string& name, double value, const char* unit, std::optional<Goal> goal = {}) {
    json::Object row = {{"name", string(name)}, {"value", number(value)}, {"unit", string(unit)}};
    if (goal) {
      row.push_back({"goal", number(goal->value)});
      row.push_back({"atLeast", boolean(goal->at_least)});
    }
    report_.add("engine", std::move(row));
    if (!options_.table) return;
    std::printf("%-52s %10.4g %s\n", name.c_str(), value, unit);
    std::fflush(stdout);
  }

 private:
  const Options& options_;
  Report& report_;
};

double median(std::vector<double> values) {
  if (values.empty()) return NAN;
  std::nth_element(values.begin(), values.begin() + int64_t(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double seconds_of(const std::function<void()>& work) {
  const double start = seconds_since_1970();
  work();
  return seconds_since_1970() - start;
}

double median_milliseconds(int rounds, const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) times.push_back(1e3 * seconds_of(work));
  return median(times);
}

double thread_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) * 1e3 + double(now.tv_nsec) / 1e6;
}

struct Steps {
  double milliseconds;  // of one
  double host;          // of them, what the engine's thread worked: while it waits for the GPU it sleeps
};

// The first step is not recorded, the second is being recorded, and after that the host is no more than a step ahead of the GPU.
Steps steps_of(Model& model, engine::GenerateRequest request) {
  constexpr size_t kFirst = 2;
  std::vector<double> laps, host;
  request.decodes = false;
  request.on_step = [&](int, double, double milliseconds) { laps.push_back(milliseconds), host.push_back(thread_milliseconds()); };
  model.generate(request, kRunning);
  return {median({laps.begin() + kFirst + 1, laps.end()}), (host.back() - host[kFirst]) / double(host.size() - 1 - kFirst)};
}

}  // namespace

void measure_engine(const Options& options, const std::string& checkpoint, double since, Report& report) {
  Table table(options, report);
  const bool small = options.small;
  const int64_t side = small ? 4 : 128;
  const std::string size = std::to_string(8 * side) + "x" + std::to_string(8 * side);
  int prompt = 0;
  const auto pictures = [&](int steps, bool guided, int count = 1) {
    return Pictures{.steps = small ? std::min(steps, 4) : steps, .guided = guided, .height = side, .width = side, .prompt = ++prompt, .count = count};
  };

  // The first picture, with nothing ready.
  std::optional<Library> library;
  std::optional<Context> context;  // the model's own is the same one
  engine::Device device;
  const double started = seconds_of([&] {
    context.emplace(library.emplace(options.library), options.device);
    device = open_gpu(options);
  });
  std::optional<Model> model;
  const double loaded = seconds_of([&] { model.emplace(load_request(checkpoint, "cuda", options.precision), kRunning, std::move(device)); });
  const auto draw = [&](const Pictures& wanted) { model->generate(request_of(wanted), kRunning); };
  draw(pictures(30, true));
  table.add("first picture, 30 steps, from the process's start", seconds_since_1970() - since, "s", Goal{1.8});
  table.add("  of that, the GPU taken into use", started, "s");
  table.add("  of that, the model loaded", loaded, "s");
  table.add("load from the page cache", double(std::filesystem::file_size(checkpoint)) / loaded / 1e9, "GB/s", Goal{25, true});

  table.add("text encoders, one prompt", median_milliseconds(small ? 1 : 9, [&] { model->encode_prompt(prompt_of(++prompt), {}, kRunning); }), "ms");
  const Steps guided = steps_of(*model, request_of(pictures(24, true))), plain = steps_of(*model, request_of(pictures(24, false)));
  table.add("UNet step with guidance, " + size, guided.milliseconds, "ms", Goal{26});
  table.add("UNet step without guidance, " + size, plain.milliseconds, "ms");
  table.add("host time per step", std::max(guided.host, plain.host), "ms", Goal{0.3});
  const engine::DecodeRequest decode{.latents = test::numbers(4 * side * side, 3), .count = 1, .height = side, .width = side};
  table.add("VAE decode to RGB bytes, " + size, median_milliseconds(small ? 1 : 9, [&] { model->decode(decode, kRunning, [](int64_t, engine::Decoded) {}); }),
            "ms", Goal{25});
  table.add("4 steps without guidance, prompt to RGB bytes", median_milliseconds(small ? 1 : 5, [&] { draw(pictures(4, false)); }), "ms", Goal{95});
  table.add("30 steps with guidance, prompt to RGB bytes", median_milliseconds(small ? 1 : 3, [&] { draw(pictures(30, true)); }) / 1e3, "s", Goal{0.85});
  constexpr double kGiB = 1 << 30;
  const Context::Memory memory = context->memory();
  table.add("peak of weights and activations", double(model->peak_bytes()) / kGiB, "GiB");
  table.add("peak of the GPU's memory, all that is taken", double(memory.total - memory.free) / kGiB, "GiB", Goal{8});

  const int together = small ? 2 : 4;
  const double batch = median_milliseconds(small ? 1 : 2, [&] { draw(pictures(20, true, together)); });
  table.add(std::to_string(together) + " pictures at once, 20 steps with guidance", together / batch * 1e3, "1/s", Goal{1.9, true});
}

}  // namespace sdxl::cuda::bench
