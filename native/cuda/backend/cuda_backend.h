// The class behind make_backend. Ops are put into one stream: matrix products in products.cc, all others in other_ops.cc; weights, copies and
// recordings in backend.cc.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "cuda/backend/backend.h"
#include "cuda/backend/transfers.h"
#include "cuda/backend/weight.h"
#include "cuda/backend/weight_cache.h"
#include "cuda/driver/modules.h"
#include "cuda/driver/tensor_map.h"
#include "cuda/launch/matrix.h"

namespace sdxl::cuda {

inline void require(bool ok, const char* what) {
  if (!ok) throw Error(Code::internal, std::string("CUDA: ") + what);
}

inline Element element_of(DType type) {
  require(type == DType::f16 || type == DType::bf16, "activations are of F16 or BF16");
  return type == DType::f16 ? Element::fp16 : Element::bf16;
}

// What is f32 whatever activations are.
inline const float* floats(ConstTensor tensor) { return tensor.data(); }

class CudaBackend final : public ops::Backend {
 public:
  explicit CudaBackend(const BackendOptions& options);
  ~CudaBackend() override;

  ops::PackedPtr pack(const ops::PackLinear& weight) override;
  ops::PackedPtr pack(const ops::PackConv2d& weight) override;
  ops::PackedPtr pack_table(const ops::WeightRows& weight, ops::Storage storage) override;
  ops::PackedPtr changed(const ops::Packed& weight, const std::function<void(float*)>& change) override;

  bool has_own_memory() const override { return true; }
  void offload_weights() override { offloads_ = true; }
  void make_room_for_weights(int64_t bytes) override { cache_ = std::make_unique<WeightCache>(context_, stream_, size_t(bytes)); }

  void run(const ops::Linear& op) override;
  void run(const ops::Conv2d& op) override;
  void run(const ops::GroupNorm& op) override;
  void run(const ops::LayerNorm& op) override;
  void run(const ops::Attention& op) override;
  void run(const ops::Activate& op) override;
  void run(const ops::Embedding& op) override;
  void run(const ops::Sinusoid& op) override;
  void run(const ops::Combine& op) override;
  void run(const ops::Concat& op) override;
  void run(const ops::Blend& op) override;
  void run(const ops::Rescale& op) override;
  void run(const ops::Project& op) override;
  void run(const ops::Noise& op) override;
  void run(const ops::Rgb& op) override;

  void parallel(int64_t count, const std::function<void(int64_t)>& task) override;

  Arena& arena() override { return recorded_ ? *recorded_ : arena_; }
  Arena& host() override { return host_; }

  Array to_device(Array values, DType type) override;
  Array to_host(Array values) override { return std::move(view(values).copy); }
  ops::HostView view(ConstTensor values) override;

  void repeat(std::unique_ptr<Recording>& recording, const std::function<void()>& work) override;
  void pace() override;

  int64_t weight_memory(int64_t) const override { return cache_ ? cache_->bytes() : int64_t(weights_.reserved()); }
  int64_t usable_memory() const override { return context_.memory().free + int64_t(arena_.reserved()) + weight_memory(0); }
  const char* name() const override { return name_.c_str(); }

 private:
  struct Weight final : ops::Packed {
    WeightLayout layout;
    int64_t height = 1, width = 1;  // of a convolution's kernel
    Array memory;
    std::mutex* mutex = nullptr;  // of the arena it lies in

    mutable std::unique_ptr<WeightCache::Entry> entry;  // where weights take turns, from the first use on

    ~Weight() override {
      entry.reset();
      const std::lock_guard lock(*mutex);
      memory = Array();
    }
    int64_t bytes() const override { return layout.bytes(); }
  };

  struct Recorded final : Recording {
    std::shared_ptr<Arena> scratch;
    std::unique_ptr<Graph> graph;
  };

  // What a matrix product reads: the tensor itself, or its values in the weight's type and padded to eights.
  struct Narrowed {
    Element element;
    const void* data;
    Array copy;
  };

  // While an op is put into the stream, the weights that it reads stay where they are.
  class Using {
   public:
    explicit Using(CudaBackend& backend) : cache_(backend.cache_.get()), offloads_(backend.offloads_) {}
    ~Using() {
      try {
        if (cache_) cache_->launched();
      } catch (const Error&) {  // of the driver, which repeats it at the next call
      }
    }
    Using(const Using&) = delete;
    Using& operator=(const Using&) = delete;

    const void* address(const Weight& weight) const {
      if (!offloads_) return weight.memory.address();
      require(cache_ != nullptr, "there is no room yet for weights to take turns in");
      if (!weight.entry) weight.entry = std::make_unique<WeightCache::Entry>(*cache_, weight.memory.address(), size_t(weight.layout.bytes()));
      return cache_->use(*weight.entry);
    }

   private:
    WeightCache* cache_;
    bool offloads_;
  };

  static const Weight& weight_of(const ops::Packed* weight) { return static_cast<const Weight&>(*weight); }

  void go(const Launch& launch) { stream_.launch(modules_, launch); }

  ops::PackedPtr packed(const WeightLayout& layout, const std::vector<ops::WeightRows>& parts, int64_t height = 1, int64_t width = 1);

  Narrowed narrowed(ConstTensor x, const Weight& weight);

  // x · downᵀ of a low-rank addition [rows, rank]; nothing where there is none.
  template <class LaunchOf>
  Array first_half(const ops::LowRank& added, int64_t rows, const LaunchOf& launch);
  static cuda::Linear::Product second_half(const ops::LowRank& added, const Array& half, const Using& weights);

  static Epilogue epilogue(ConstTensor bias, ConstTensor per_image, ConstTensor residual, Tensor y, ops::Activation activation, const Weight& weight);

  // A small table on the GPU, which stays: recordings read it later. Null for no bytes.
  const void* kept(const void* values, size_t bytes);

  void download(const void* from, int64_t bytes, void* to);

  void with_arena(Arena& arena, const std::function<void()>& work);

  Library library_;
  Context context_;
  Modules modules_;
  Stream stream_;
  Transfers transfers_;
  ThreadPool pool_;
  std::mutex weights_mutex_;
  Arena weights_, pinned_, arena_, host_;
  bool offloads_ = false;  // weights lie in pinned_
  std::unique_ptr<WeightCache> cache_;
  Arena* recorded_ = nullptr;  // in place of arena_ while recorded work runs
  std::weak_ptr<Arena> scratch_;
  std::map<std::string, Array> tables_;  // by their bytes
  Event rounds_[2];
  int round_ = 0;
  Chip chip_;
  TensorMapEncoder encode_;
  std::string name_;
};

}  // namespace sdxl::cuda
