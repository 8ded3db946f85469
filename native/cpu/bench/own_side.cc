// The engine's own CPU ops.
#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>

#include "core/cpu_count.h"
#include "core/thread_pool.h"
#include "cpu/backend.h"
#include "cpu/bench/side.h"
#include "cpu/isa.h"

namespace sdxl::bench {

namespace {

class OwnSide : public Side {
 public:
  OwnSide(bool bf16, const std::string& isa)
      : kernels_(cpu::kernels_named(isa)),
        pairs_(bf16 ? kernels_.pairs : nullptr),
        storage_(bf16 ? ops::Storage::bf16 : ops::Storage::source),
        pool_(usable_cpus()),
        backend_(make_cpu_backend(usable_cpus(), 0, isa)) {
    if (bf16 && !pairs_) throw std::runtime_error("the CPU does not multiply in bf16");
  }

  std::string name() override { return backend_->name() + std::string(", threads: ") + std::to_string(pool_.threads()); }

  std::string open(const Case& wanted) override {
    body_ = nullptr;
    weight_.reset();
    for (Array* array : {&x_, &second_, &third_, &y_}) *array = Array();
    const auto& s = wanted.sizes;
    if (wanted.kind == "linear" || wanted.kind == "geglu") {
      linear(s.at(0), s.at(1), s.at(2), wanted.kind == "geglu", wanted.scale);
    } else if (wanted.kind == "conv") {
      conv(s.at(0), s.at(1), wanted.scale);
    } else if (wanted.kind == "attention") {
      attention(s.at(0), s.at(1), s.at(2), s.at(3), wanted.scale);
    } else if (wanted.kind == "group_norm") {
      norm_inputs({1, s.at(0), s.at(0), s.at(1)});
      body_ = [this] { backend_->run(ops::GroupNorm{.x = x_, .weight = second_, .bias = third_, .y = y_, .groups = 32, .eps = 1e-5f, .silu = true}); };
    } else if (wanted.kind == "layer_norm") {
      norm_inputs({s.at(0), s.at(1)});
      body_ = [this] { backend_->run(ops::LayerNorm{.x = x_, .weight = second_, .bias = third_, .y = y_, .eps = 1e-5f}); };
    } else if (wanted.kind == "pack") {
      bits_ = halves(s.at(1) * s.at(2), wanted.scale);
      body_ = [this, out = s.at(2)] { backend_->pack(ops::PackLinear{.parts = {rows_of(out)}, .storage = storage_}); };
    } else {
      throw std::runtime_error("no such op");
    }
    return "";
  }

  void run() override { body_(); }

  std::vector<float> result() override { return y_ ? std::vector<float>(y_.data(), y_.data() + y_.elements()) : std::vector<float>(); }

  double peak(double milliseconds) override {
    constexpr int64_t kRounds = 100'000, kShares = 16;  // so small that a thread which is held up is made up for, as in the ops
    const int64_t shares = kShares * pool_.threads();
    const auto start = std::chrono::steady_clock::now();
    double time = 0, rounds = 0;
    while (time * 1e3 < milliseconds) {
      pool_.parallel(shares, [&](int64_t) { sink_ = (pairs_ ? pairs_->peak : kernels_.peak)(kRounds); });
      rounds += double(kRounds * shares);
      time = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    return (pairs_ ? 2 : 1) * rounds * cpu::kPeakTerms * double(kernels_.panel) / time * 1e-9;
  }

 private:
  Array values(Shape shape, uint32_t seed, float scale = 1) {
    Array a = backend_->arena().take(shape);
    for (int64_t i = 0; i < a.elements(); ++i) a.data()[i] = scale * value(uint32_t(i), seed);
    return a;
  }
  static std::vector<uint16_t> halves(int64_t count, float scale) {
    std::vector<uint16_t> bits(static_cast<size_t>(count));
    for (size_t i = 0; i < bits.size(); ++i) bits[i] = f32_to_f16(scale * value(uint32_t(i), kSecond));
    return bits;
  }
  ops::WeightRows rows_of(int64_t rows) const { return {reinterpret_cast<const std::byte*>(bits_.data()), DType::f16, rows, int64_t(bits_.size()) / rows}; }

  void linear(int64_t rows, int64_t in, int64_t out, bool geglu, float scale) {
    bits_ = halves(in * out, scale);
    weight_ = backend_->pack(ops::PackLinear{.parts = {rows_of(out)}, .geglu = geglu, .storage = storage_});
    x_ = values({rows, in}, kFirst);
    third_ = values({out}, kThird);
    y_ = backend_->arena().take({rows, geglu ? out / 2 : out});
    body_ = [this] { backend_->run(ops::Linear{.x = x_, .weight = weight_.get(), .bias = third_, .residual = {}, .y = y_}); };
  }

  void conv(int64_t size, int64_t channels, float scale) {
    bits_ = halves(channels * channels * 9, scale);
    weight_ = backend_->pack(ops::PackConv2d{.weight = rows_of(channels), .in = channels, .height = 3, .width = 3, .storage = storage_});
    x_ = values({1, size, size, channels}, kFirst);
    third_ = values({channels}, kThird);
    y_ = backend_->arena().take({1, size, size, channels});
    body_ = [this] { backend_->run(ops::Conv2d{.x = x_, .weight = weight_.get(), .bias = third_, .per_image = {}, .residual = {}, .y = y_}); };
  }

  void attention(int64_t heads, int64_t queries, int64_t keys, int64_t width, float scale) {
    const int64_t columns = heads * width;
    x_ = values({1, queries, columns}, kFirst, scale);
    second_ = values({1, keys, columns}, kSecond);
    third_ = values({1, keys, columns}, kThird);
    y_ = backend_->arena().take({1, queries, columns});
    body_ = [=, this] {
      backend_->run(ops::Attention{.q = x_.data(),
                                   .k = second_.data(),
                                   .v = third_.data(),
                                   .q_stride = columns,
                                   .kv_stride = columns,
                                   .batch = 1,
                                   .queries = queries,
                                   .heads = heads,
                                   .width = width,
                                   .kv_batch = 1,
                                   .keys = keys,
                                   .key_counts = {},
                                   .y = y_});
    };
  }

  void norm_inputs(Shape shape) {
    x_ = values(shape, kFirst);
    second_ = values({shape.last()}, kSecond);
    third_ = values({shape.last()}, kThird);
    y_ = backend_->arena().take(shape);
  }

  const cpu::Kernels& kernels_;
  const cpu::PairKernels* pairs_;  // null for fp32
  ops::Storage storage_;
  ThreadPool pool_;
  std::unique_ptr<ops::Backend> backend_;
  std::vector<uint16_t> bits_;
  ops::PackedPtr weight_;
  Array x_, second_, third_, y_;
  std::function<void()> body_;
  std::atomic<float> sink_{0};
};

}  // namespace

std::unique_ptr<Side> make_own_side(bool bf16, const std::string& isa) { return std::make_unique<OwnSide>(bf16, isa); }

}  // namespace sdxl::bench
