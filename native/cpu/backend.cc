#include "cpu/backend.h"

#include "core/memory_size.h"
#include "cpu/isa.h"
#include "cpu/ops.h"
#include "cpu/packed_weight.h"

namespace sdxl {

namespace {

class CpuBackend final : public ops::Backend {
 public:
  CpuBackend(int threads, size_t memory_limit, const cpu::Kernels& kernels)
      : pool_(threads), arena_(memory_limit), context_{pool_, arena_, kernels}, name_(std::string("cpu-") + kernels.name) {}

  ops::PackedPtr pack(const ops::PackLinear& weight) override { return cpu::pack_linear(context_.kernels, weight); }
  ops::PackedPtr pack(const ops::PackConv2d& weight) override { return cpu::pack_conv2d(context_.kernels, weight); }
  ops::PackedPtr pack_table(const ops::WeightRows& weight, ops::Storage storage) override { return cpu::pack_rows(weight, storage); }
  ops::PackedPtr changed(const ops::Packed& weight, const std::function<void(float*)>& change) override {
    return cpu::changed(context_.kernels, static_cast<const cpu::PackedWeight&>(weight), change);
  }

  void run(const ops::Linear& op) override { cpu::run(context_, op); }
  void run(const ops::Conv2d& op) override { cpu::run(context_, op); }
  void run(const ops::GroupNorm& op) override { cpu::run(context_, op); }
  void run(const ops::LayerNorm& op) override { cpu::run(context_, op); }
  void run(const ops::Attention& op) override { cpu::run(context_, op); }
  void run(const ops::Activate& op) override { cpu::run(context_, op); }
  void run(const ops::Embedding& op) override { cpu::run(context_, op); }
  void run(const ops::Sinusoid& op) override { cpu::run(context_, op); }
  void run(const ops::Combine& op) override { cpu::run(context_, op); }
  void run(const ops::Concat& op) override { cpu::run(context_, op); }
  void run(const ops::Blend& op) override { cpu::run(context_, op); }
  void run(const ops::Rescale& op) override { cpu::run(context_, op); }
  void run(const ops::Project& op) override { cpu::run(context_, op); }
  void run(const ops::Noise& op) override { cpu::run(context_, op); }
  void run(const ops::Rgb& op) override { cpu::run(context_, op); }

  void parallel(int64_t count, const std::function<void(int64_t)>& task) override { pool_.parallel(count, task); }
  Arena& arena() override { return arena_; }
  int64_t usable_memory() const override { return sdxl::usable_memory(); }
  const char* name() const override { return name_.c_str(); }

 private:
  ThreadPool pool_;
  Arena arena_;
  cpu::Context context_;
  std::string name_;
};

}  // namespace

std::unique_ptr<ops::Backend> make_cpu_backend(int threads, size_t memory_limit, std::string_view isa) {
  return std::make_unique<CpuBackend>(threads, memory_limit, cpu::kernels_named(isa));
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const cpu::Kernels* kernels : cpu::usable_kernels()) names.push_back(kernels->name);
  return names;
}

bool multiplies_bf16(std::string_view isa) { return cpu::kernels_named(isa).pairs; }

}  // namespace sdxl
