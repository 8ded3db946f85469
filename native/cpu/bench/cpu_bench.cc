// Speed of the CPU ops at SDXL's shapes, beside the rate that the multiply-add units reach in the same run without any memory.
//
//   cpu_bench [threads] [instruction set] [part of a name] [bf16]
//
// With bf16 the weights are stored so, and multiplied so where the instruction set can; the peak is that of the products it has then.
//
// Machines are shared, so every figure is the best of several runs, and the peak is measured again between them.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "core/cpu_count.h"
#include "core/thread_pool.h"
#include "cpu/backend.h"
#include "cpu/isa.h"

namespace sdxl {

namespace {

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void fill(float* to, int64_t count) {
  uint32_t state = 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525 + 1013904223;
    to[i] = float(int32_t(state)) * 0x1p-31f;
  }
}

class Bench {
 public:
  Bench(int threads, const char* isa, const char* only, bool bf16)
      : backend_(make_cpu_backend(threads, 0, isa)),
        kernels_(cpu::kernels_named(isa)),
        pool_(threads),
        only_(only),
        storage_(bf16 ? ops::Storage::bf16 : ops::Storage::source),
        pairs_(bf16 ? kernels_.pairs : nullptr) {}

  void run() {
    double one = 0;
    for (int i = 0; i < 10; ++i) {
      one = std::max(one, peak(1));
      all_ = std::max(all_, peak(pool_.threads()));
    }
    std::printf("%s, %d threads: peak of one core %.1f, of all %.1f GFLOP/s\n", backend_->name(), pool_.threads(), one, all_);
    std::printf("%-44s %9s %9s %8s\n", "", "ms", "GFLOP/s", "of peak");

    linear("linear 1024 x 1280 -> 1280", 1024, 1280, 1280, false);
    linear("linear 1024 x 1280 -> 10240, geglu", 1024, 1280, 10240, true);
    linear("linear 1024 x 5120 -> 1280", 1024, 5120, 1280, false);
    linear("linear 4096 x 640 -> 640", 4096, 640, 640, false);
    linear("linear 77 x 2048 -> 1280", 77, 2048, 1280, false);
    linear("linear 2 x 1280 -> 1280", 2, 1280, 1280, false);
    conv("conv 3x3 320, 128 x 128", 128, 320);
    conv("conv 3x3 640, 64 x 64", 64, 640);
    conv("conv 3x3 1280, 32 x 32", 32, 1280);
    conv("conv 3x3 512, 128 x 128 (VAE)", 128, 512);
    attention("attention 20 heads, 1024 x 1024 x 64", 20, 1024, 1024, 64);
    attention("attention 10 heads, 4096 x 4096 x 64", 10, 4096, 4096, 64);
    attention("attention 20 heads, 1024 x 77 x 64", 20, 1024, 77, 64);
    attention("attention 1 head, 4096 x 4096 x 512 (VAE)", 1, 4096, 4096, 512);
    group_norm("group norm + silu 320, 128 x 128 (GB/s)", 128, 320);
    layer_norm("layer norm 4096 x 640 (GB/s)", 4096, 640);
    pack("pack 10240 x 1280 f16 (GB/s)", 10240, 1280);
  }

 private:
  double peak(int threads) {
    constexpr int64_t kRounds = 1'000'000;
    const double time = seconds([&] { pool_.parallel(threads, [&](int64_t) { sink_ = (pairs_ ? pairs_->peak : kernels_.peak)(kRounds); }); });
    return (pairs_ ? 2 : 1) * double(kRounds) * cpu::kPeakTerms * double(kernels_.panel) * threads / time * 1e-9;
  }

  void measure(const char* name, double work, const std::function<void()>& body, bool of_peak = true) {
    if (!std::strstr(name, only_)) return;
    body();
    double best = 1e30;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 50 && (i < 5 || std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(1500)); ++i) {
      best = std::min(best, seconds(body));
      if (of_peak) all_ = std::max(all_, peak(pool_.threads()));
    }
    std::printf("%-44s %9.3f %9.1f", name, best * 1e3, work / best * 1e-9);
    if (of_peak) std::printf(" %7.1f%%", work / best * 1e-7 / all_);
    std::printf("\n");
    std::fflush(stdout);
  }

  Array random(Shape shape) {
    Array a = backend_->arena().take(shape);
    fill(a.data(), a.elements());
    return a;
  }
  std::vector<uint16_t> halves(int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    fill(values.data(), count);
    std::vector<uint16_t> bits;
    for (const float v : values) bits.push_back(f32_to_f16(v));
    return bits;
  }
  static ops::WeightRows rows_of(const std::vector<uint16_t>& bits, int64_t rows) {
    return {reinterpret_cast<const std::byte*>(bits.data()), DType::f16, rows, int64_t(bits.size()) / rows};
  }

  void linear(const char* name, int64_t rows, int64_t in, int64_t out, bool geglu) {
    const auto bits = halves(in * out);
    const auto weight = backend_->pack(ops::PackLinear{.parts = {rows_of(bits, out)}, .geglu = geglu, .storage = storage_});
    const Array x = random({rows, in}), bias = random({out}), y = random({rows, geglu ? out / 2 : out});
    measure(name, 2.0 * double(rows * in * out), [&] { backend_->run(ops::Linear{.x = x, .weight = weight.get(), .bias = bias, .residual = {}, .y = y}); });
  }

  void conv(const char* name, int64_t size, int64_t channels) {
    const auto bits = halves(channels * channels * 9);
    const auto weight = backend_->pack(ops::PackConv2d{.weight = rows_of(bits, channels), .in = channels, .height = 3, .width = 3, .storage = storage_});
    const Array x = random({1, size, size, channels}), bias = random({channels}), y = random({1, size, size, channels});
    measure(name, 2.0 * 9 * double(size * size * channels * channels),
            [&] { backend_->run(ops::Conv2d{.x = x, .weight = weight.get(), .bias = bias, .per_image = {}, .residual = {}, .y = y}); });
  }

  void attention(const char* name, int64_t heads, int64_t queries, int64_t keys, int64_t width) {
    const int64_t columns = heads * width;
    const Array q = random({1, queries, columns}), k = random({1, keys, columns}), v = random({1, keys, columns}), y = random({1, queries, columns});
    measure(name, 4.0 * double(queries * keys * columns), [&] {
      backend_->run(ops::Attention{.q = q.data(),
                                   .k = k.data(),
                                   .v = v.data(),
                                   .q_stride = columns,
                                   .kv_stride = columns,
                                   .batch = 1,
                                   .queries = queries,
                                   .heads = heads,
                                   .width = width,
                                   .kv_batch = 1,
                                   .keys = keys,
                                   .key_counts = {},
                                   .y = y});
    });
  }

  void group_norm(const char* name, int64_t size, int64_t channels) {
    const Array x = random({1, size, size, channels}), weight = random({channels}), bias = random({channels}), y = random({1, size, size, channels});
    measure(
        name, 12.0 * double(x.elements()),
        [&] { backend_->run(ops::GroupNorm{.x = x, .weight = weight, .bias = bias, .y = y, .groups = 32, .eps = 1e-5f, .silu = true}); }, false);
  }

  void layer_norm(const char* name, int64_t rows, int64_t channels) {
    const Array x = random({rows, channels}), weight = random({channels}), bias = random({channels}), y = random({rows, channels});
    measure(
        name, 8.0 * double(x.elements()), [&] { backend_->run(ops::LayerNorm{.x = x, .weight = weight, .bias = bias, .y = y, .eps = 1e-5f}); }, false);
  }

  void pack(const char* name, int64_t out, int64_t in) {
    const auto bits = halves(in * out);
    measure(
        name, 2.0 * double(in * out), [&] { backend_->pack(ops::PackLinear{.parts = {rows_of(bits, out)}, .storage = storage_}); }, false);
  }

  std::unique_ptr<ops::Backend> backend_;
  const cpu::Kernels& kernels_;
  ThreadPool pool_;
  const char* only_;
  ops::Storage storage_;
  const cpu::PairKernels* pairs_;  // whose peak it is, or null
  double all_ = 0;                 // peak of all threads in GFLOP/s, the best seen so far
  std::atomic<float> sink_{0};
};

}  // namespace

}  // namespace sdxl

int main(int argc, char** argv) {
  try {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
    sdxl::Bench(threads > 0 ? threads : sdxl::usable_cpus(), argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : "", argc > 4 && std::string_view(argv[4]) == "bf16")
        .run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
