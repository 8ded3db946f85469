#include "reference/backend.h"

#include "core/memory_size.h"
#include "reference/ops.h"

namespace sdxl {

namespace {

class ReferenceBackend final : public ops::Backend {
 public:
  ops::PackedPtr pack(const ops::PackLinear& weight) override {
    auto matrix = reference::pack(weight.parts, weight.storage);
    matrix->geglu = weight.geglu;
    return matrix;
  }
  ops::PackedPtr pack(const ops::PackConv2d& weight) override {
    auto matrix = reference::pack({weight.weight}, weight.storage);
    matrix->height = weight.height;
    matrix->width = weight.width;
    return matrix;
  }
  ops::PackedPtr pack_table(const ops::WeightRows& weight, ops::Storage storage) override { return reference::pack({weight}, storage); }
  ops::PackedPtr changed(const ops::Packed& weight, const std::function<void(float*)>& change) override {
    auto matrix = std::make_unique<reference::Matrix>(static_cast<const reference::Matrix&>(weight));
    change(matrix->values.data());
    return matrix;
  }

  void run(const ops::Linear& op) override { reference::run(op); }
  void run(const ops::Conv2d& op) override { reference::run(op); }
  void run(const ops::GroupNorm& op) override { reference::run(op); }
  void run(const ops::LayerNorm& op) override { reference::run(op); }
  void run(const ops::Attention& op) override { reference::run(op); }
  void run(const ops::Activate& op) override { reference::run(op); }
  void run(const ops::Embedding& op) override { reference::run(op); }
  void run(const ops::Sinusoid& op) override { reference::run(op); }
  void run(const ops::Combine& op) override { reference::run(op); }
  void run(const ops::Concat& op) override { reference::run(op); }
  void run(const ops::Blend& op) override { reference::run(op); }
  void run(const ops::Rescale& op) override { reference::run(op); }
  void run(const ops::Project& op) override { reference::run(op); }
  void run(const ops::Noise& op) override { reference::run(op); }
  void run(const ops::Rgb& op) override { reference::run(op); }

  void parallel(int64_t count, const std::function<void(int64_t)>& task) override {
    for (int64_t i = 0; i < count; ++i) task(i);
  }
  Arena& arena() override { return arena_; }
  int64_t usable_memory() const override { return sdxl::usable_memory(); }
  const char* name() const override { return "reference"; }

 private:
  Arena arena_;
};

}  // namespace

std::unique_ptr<ops::Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace sdxl
