#include "cuda/backend/backend.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "core/thread_pool.h"
#include "cuda/backend/transfers.h"
#include "cuda/backend/weight.h"
#include "cuda/backend/weight_cache.h"
#include "cuda/driver/memory.h"
#include "cuda/driver/modules.h"
#include "cuda/driver/tensor_map.h"
#include "cuda/launch/attention.h"
#include "cuda/launch/elementwise.h"
#include "cuda/launch/latents.h"
#include "cuda/launch/matrix.h"
#include "cuda/launch/norms.h"

namespace sdxl::cuda {

namespace {

void require(bool ok, const char* what) {
  if (!ok) throw Error(Code::internal, std::string("CUDA: ") + what);
}

Element element_of(DType type) {
  require(type == DType::f16 || type == DType::bf16, "activations are of F16 or BF16");
  return type == DType::f16 ? Element::fp16 : Element::bf16;
}

// What is f32 whatever activations are.
const float* floats(ConstTensor tensor) { return tensor.data(); }

MatrixActivation activation_of(ops::Activation activation, const WeightLayout& weight) {
  if (weight.geglu) return MatrixActivation::geglu;
  switch (activation) {
    case ops::Activation::none: return MatrixActivation::none;
    case ops::Activation::silu: return MatrixActivation::silu;
    case ops::Activation::gelu: return MatrixActivation::gelu;
    case ops::Activation::quick_gelu: return MatrixActivation::quick_gelu;
    case ops::Activation::relu: return MatrixActivation::relu;
  }
  throw Error(Code::internal, "an activation that CUDA does not know");
}

Function function_of(ops::Activation activation) {
  switch (activation) {
    case ops::Activation::silu: return Function::silu;
    case ops::Activation::gelu: return Function::gelu;
    case ops::Activation::quick_gelu: return Function::quick_gelu;
    case ops::Activation::relu: return Function::relu;
    case ops::Activation::none: break;
  }
  throw Error(Code::internal, "an activation that CUDA does not know");
}

// Regions of an arena within another: they go back when it goes.
class Regions final : public MemorySource {
 public:
  explicit Regions(Arena& arena) : arena_(arena) {}
  std::byte* allocate(size_t bytes) override {
    Array region = arena_.take({int64_t(bytes)}, DType::u8);
    auto* const address = static_cast<std::byte*>(region.address());
    regions_[address] = std::move(region);
    return address;
  }
  void free(std::byte* memory) override { regions_.erase(memory); }
  Error exhausted(size_t wanted, size_t) const override {  // the outer arena says so itself
    return Error(Code::internal, "no region of " + std::to_string(wanted) + " bytes");
  }

 private:
  Arena& arena_;
  std::map<std::byte*, Array> regions_;
};

class CudaBackend final : public ops::Backend {
 public:
  explicit CudaBackend(const BackendOptions& options)
      : library_(options.library),
        context_(library_, options.device),
        modules_(context_, Cubins(options.cubins)),
        stream_(context_),
        transfers_(context_, stream_, std::max(options.threads, 1) + 2),
        pool_(std::max(options.threads, 1)),
        weights_(device_arena(context_, options.memory_limit)),
        pinned_(pinned_arena(context_)),
        arena_(device_arena(context_, options.memory_limit)),
        rounds_{Event(context_), Event(context_)},
        chip_{context_.device().capability.major * 10 + context_.device().capability.minor, context_.device().multiprocessors, context_.device().shared_bytes},
        encode_([this](const TensorBox& box) { return encode_tensor_map(context_, box); }),
        name_("cuda-" + modules_.architecture()) {}

  ~CudaBackend() override {
    try {
      context_.make_current();  // on whichever thread the last owner lets go
      stream_.finish();
    } catch (const Error&) {  // after a crash nothing is under way
    }
  }

  ops::PackedPtr pack(const ops::PackLinear& weight) override {
    require(!weight.parts.empty(), "a weight without parts");
    WeightLayout layout{.type = weight_type(weight.storage), .out = 0, .in = weight.parts[0].columns, .geglu = weight.geglu};
    for (const ops::WeightRows& part : weight.parts) layout.out += part.rows;
    return packed(layout, weight.parts);
  }
  ops::PackedPtr pack(const ops::PackConv2d& weight) override {
    return packed({.type = weight_type(weight.storage), .out = weight.weight.rows, .in = weight.in, .taps = weight.height * weight.width}, {weight.weight},
                  weight.height, weight.width);
  }
  ops::PackedPtr pack_table(const ops::WeightRows& weight, ops::Storage storage) override {
    const DType type = storage == ops::Storage::f32 ? DType::f32 : weight_type(storage);
    return packed({.type = type, .out = weight.rows, .in = weight.columns, .table = true}, {weight});
  }
  ops::PackedPtr changed(const ops::Packed& weight, const std::function<void(float*)>& change) override {
    context_.make_current();
    const Weight& old = static_cast<const Weight&>(weight);
    const auto* stored = static_cast<const std::byte*>(old.memory.address());
    std::vector<std::byte> copy;
    if (!offloads_) {
      copy.resize(size_t(old.layout.bytes()));
      download(stored, old.layout.bytes(), copy.data());
      stored = copy.data();
    }
    const int64_t columns = old.layout.in * old.layout.taps;
    std::vector<float> values(size_t(old.layout.out * columns));
    read_out(old.layout, stored, values.data());
    change(values.data());
    return packed(old.layout, {{reinterpret_cast<const std::byte*>(values.data()), DType::f32, old.layout.out, columns}}, old.height, old.width);
  }

  bool has_own_memory() const override { return true; }
  void offload_weights() override { offloads_ = true; }
  void make_room_for_weights(int64_t bytes) override { cache_ = std::make_unique<WeightCache>(context_, stream_, size_t(bytes)); }

  void run(const ops::Linear& op) override {
    const Using weights(*this);
    const Weight& w = weight_of(op.weight);
    const int64_t rows = op.x.shape()[0];
    require(op.x.shape().last() == w.layout.in, "a linear layer's input is not as wide as its weight");
    const Narrowed x = narrowed(op.x, w);
    cuda::Linear launch{
        .element = x.element, .rows = rows, .columns = w.layout.out, .products = {{x.data, weights.address(w), w.layout.inner()}}, .epilogue = {}};
    const Array half = first_half(op.added, rows, [&](const Weight& down, void* y) {
      return fastest_launch_of(cuda::Linear{.element = x.element,
                                            .rows = rows,
                                            .columns = down.layout.rows(),
                                            .products = {{x.data, weights.address(down), down.layout.inner()}},
                                            .epilogue = {.y = y}},
                               chip_, encode_);
    });
    if (half) launch.products.push_back(second_half(op.added, half, weights));
    launch.epilogue = epilogue(op.bias, {}, op.residual, op.y, op.activation, w);
    go(fastest_launch_of(launch, chip_, encode_));
  }

  void run(const ops::Conv2d& op) override {
    const Using weights(*this);
    const Weight& w = weight_of(op.weight);
    const auto [batch, x_height, x_width, in] = op.x.dims<4>();
    const auto [y_batch, y_height, y_width, out] = op.y.dims<4>();
    require(batch == y_batch && in == w.layout.in && out == w.layout.out, "a convolution's tensors do not fit its weight");
    const Narrowed x = narrowed(op.x, w);
    cuda::Conv2d launch{.element = x.element,
                        .sources = {{x.data, w.layout.inner()}},
                        .w = weights.address(w),
                        .batch = batch,
                        .x_height = x_height,
                        .x_width = x_width,
                        .y_height = y_height,
                        .y_width = y_width,
                        .columns = out,
                        .kernel_height = int(w.height),
                        .kernel_width = int(w.width),
                        .stride = op.stride,
                        .padding = op.padding,
                        .upsample = op.upsample,
                        .wrap_x = op.wrap_x,
                        .wrap_y = op.wrap_y,
                        .epilogue = {}};
    const Array half = first_half(op.added, batch * y_height * y_width, [&](const Weight& down, void* y) {
      cuda::Conv2d first = launch;
      first.w = weights.address(down);
      first.columns = down.layout.rows();
      first.epilogue = {.y = y};
      return fastest_launch_of(first, chip_, encode_);
    });
    if (half) launch.added = second_half(op.added, half, weights);
    launch.epilogue = epilogue(op.bias, op.per_image, op.residual, op.y, op.activation, w);
    go(fastest_launch_of(launch, chip_, encode_));
  }

  void run(const ops::GroupNorm& op) override {
    const auto [images, height, width, channels] = op.x.dims<4>();
    const Array scratch = arena().take({int64_t(group_norm_scratch(images, height * width, op.groups))}, DType::u8);
    for (const Launch& launch : launches_of(GroupNorm{.element = element_of(op.x.type()),
                                .x = op.x.address(),
                                .y = op.y.address(),
                                .weight = floats(op.weight),
                                .bias = floats(op.bias),
                                .scratch = scratch.address(),
                                .images = images,
                                .pixels = height * width,
                                .channels = channels,
                                .groups = op.groups,
                                .eps = op.eps,
                                .silu = op.silu}))
      go(launch);
  }

  void run(const ops::LayerNorm& op) override {
    const auto [rows, channels] = op.x.dims<2>();
    go(launch_of(LayerNorm{element_of(op.x.type()), op.x.address(), op.y.address(), floats(op.weight), floats(op.bias), rows, channels, op.eps}));
  }

  void run(const ops::Attention& op) override {
    const std::vector<int32_t> counts(op.key_counts.begin(), op.key_counts.end());
    go(fastest_launch_of(cuda::Attention{.element = element_of(op.y.type()),
                                         .q = op.q,
                                         .k = op.k,
                                         .v = op.v,
                                         .y = op.y.address(),
                                         .q_stride = op.q_stride,
                                         .kv_stride = op.kv_stride,
                                         .batch = op.batch,
                                         .queries = op.queries,
                                         .heads = op.heads,
                                         .width = op.width,
                                         .kv_batch = op.kv_batch,
                                         .keys = op.keys,
                                         .key_counts = static_cast<const int32_t*>(kept(counts.data(), counts.size() * sizeof(int32_t))),
                                         .hidden = static_cast<const uint8_t*>(kept(op.hidden.data(), op.hidden.size())),
                                         .causal = op.causal},
                         chip_, encode_));
  }

  void run(const ops::Activate& op) override {
    go(launch_of(Activate{element_of(op.x.type()), op.x.address(), op.y.address(), op.x.elements(), function_of(op.activation)}));
  }

  void run(const ops::Embedding& op) override {
    const Weight& table = weight_of(op.table);
    const auto [batch, length, width] = op.y.dims<3>();
    const auto embed = [&](const int32_t* from, const void* rows) {
      const Array ids = arena().take({batch * length}, DType::i32);
      transfers_.upload(ids.address(), from, size_t(ids.bytes()));
      go(launch_of(cuda::Embedding{element_of(op.y.type()), table.layout.type, static_cast<const int32_t*>(ids.address()), rows, floats(op.positions),
                                   op.y.address(), batch, length, width}));
    };
    if (!offloads_) return embed(op.ids, table.memory.address());
    // Of a table on the host only the rows that are looked up travel.
    const size_t row = size_t(table.layout.row_bytes());
    const Array rows = arena().take({batch * length, width}, table.layout.type);
    transfers_.upload(rows.address(), size_t(rows.bytes()), row, [&](size_t first, size_t bytes, std::byte* to) {
      const auto* const all = static_cast<const std::byte*>(table.memory.address());
      for (size_t i = 0; i < bytes / row; ++i) std::memcpy(to + i * row, all + size_t(op.ids[first / row + i]) * row, row);
    });
    std::vector<int32_t> in_order(size_t(batch * length));
    std::iota(in_order.begin(), in_order.end(), 0);
    embed(in_order.data(), rows.address());
  }

  void run(const ops::Sinusoid& op) override {
    for (const Launch& launch : launches_of(cuda::Sinusoid{op.y.type(), op.values, op.y.address(), op.y.shape().last()})) go(launch);
  }

  void run(const ops::Combine& op) override {
    if (op.terms.size() == 1 && op.terms[0].coefficient == 1 && op.terms[0].x.type() == op.y.type()) {
      if (op.terms[0].x.address() != op.y.address()) stream_.copy(op.y.address(), op.terms[0].x.address(), size_t(op.y.bytes()));
      return;
    }
    cuda::Combine sum{.type = op.y.type(), .terms = {}, .y = op.y.address(), .count = op.y.elements(), .outside = {}};
    for (const auto& [coefficient, x] : op.terms) sum.terms.push_back({coefficient, floats(x)});
    for (const Launch& launch : launches_of(sum)) go(launch);
  }

  void run(const ops::Concat& op) override {
    require(op.a.type() == op.y.type() && op.b.type() == op.y.type(), "tensors of unlike types side by side");
    const auto [rows, a] = op.a.dims<2>();
    const int64_t halves = size_of(op.y.type()) / 2;  // the kernel knows nothing but pieces of two bytes
    go(launch_of(cuda::Concat{op.a.address(), op.b.address(), op.y.address(), rows, a * halves, op.b.shape().last() * halves}));
  }

  void run(const ops::Blend& op) override {
    const auto [images, height, width, channels] = op.y.dims<4>();
    const cuda::Combine sum{.type = op.y.type(),
                            .terms = {{1, floats(op.a)}},
                            .y = op.y.address(),
                            .count = op.y.elements(),
                            .mask = floats(op.mask),
                            .outside = {{1, floats(op.b)}},
                            .pixels = height * width,
                            .channels = channels};
    for (const Launch& launch : launches_of(sum)) go(launch);
  }

  void run(const ops::Rescale& op) override {
    const int64_t images = op.y.shape()[0];
    go(launch_of(cuda::Rescale{floats(op.like), op.y.data(), images, op.y.elements() / images, op.share}));
  }

  void run(const ops::Project& op) override {
    const int64_t images = op.y.shape()[0];
    go(launch_of(cuda::Project{floats(op.along), op.y.data(), images, op.y.elements() / images, op.share, op.limit}));
  }

  void run(const ops::Noise& op) override {
    const auto [images, height, width, channels] = op.y.dims<4>();
    require(images == int64_t(op.seeds.size()), "not one seed for each image");
    for (const Launch& launch : launches_of(cuda::Noise{op.seeds, op.draw, op.y.data(), height * width, channels})) go(launch);
  }

  void run(const ops::Rgb& op) override {
    const int64_t pixels = op.x.elements() / 3;
    const Array bytes = arena().take({3 * pixels}, DType::u8), bad = arena().take({1}, DType::i32);
    stream_.fill(bad.address(), 0, sizeof(uint32_t));
    go(launch_of(cuda::Rgb{op.x.type(), op.x.address(), static_cast<uint8_t*>(bytes.address()), static_cast<uint32_t*>(bad.address()), pixels, 3}));
    uint32_t found = 0;
    download(bytes.address(), 3 * pixels, op.y);
    download(bad.address(), sizeof found, &found);
    if (found) throw Error(Code::internal, "the VAE returned pixels that are no numbers; are the latents finite?");
  }

  void parallel(int64_t count, const std::function<void(int64_t)>& task) override {
    pool_.parallel(count, [&](int64_t i) {
      context_.make_current();
      task(i);
    });
  }

  Arena& arena() override { return recorded_ ? *recorded_ : arena_; }
  Arena& host() override { return host_; }

  Array to_device(Array values, DType type) override {
    Array array = arena().take(values.shape(), type);
    const float* from = values.data();
    const int64_t size = size_of(type);
    transfers_.upload(array.address(), size_t(array.bytes()), size_t(size), [&](size_t first, size_t some, std::byte* to) {
      const int64_t begin = int64_t(first) / size, count = int64_t(some) / size;
      if (type == DType::f32) std::copy_n(from + begin, count, reinterpret_cast<float*>(to));
      else if (type == DType::f16) std::transform(from + begin, from + begin + count, reinterpret_cast<uint16_t*>(to), f32_to_f16);
      else std::transform(from + begin, from + begin + count, reinterpret_cast<uint16_t*>(to), f32_to_bf16);
    });
    return array;
  }

  Array to_host(Array values) override { return std::move(view(values).copy); }

  ops::HostView view(ConstTensor values) override {
    ops::HostView result{host_.take(values.shape()), {}};
    result.values = result.copy;
    const int64_t size = size_of(values.type());
    transfers_.download(values.address(), size_t(values.bytes()), [&](size_t first, size_t some, const std::byte* from) {
      float* to = result.copy.data() + int64_t(first) / size;
      for (int64_t i = 0; i < int64_t(some) / size; ++i) to[i] = value_at(from, values.type(), i);
    });
    return result;
  }

  void repeat(std::unique_ptr<Recording>& recording, const std::function<void()>& work) override {
    if (offloads_) return work();  // a recording would find other weights where it found its own
    if (!recording) {
      auto first = std::make_unique<Recorded>();
      if (!(first->scratch = scratch_.lock())) scratch_ = first->scratch = std::make_shared<Arena>(std::make_unique<Regions>(arena_), kDeviceAlign, 0);
      with_arena(*first->scratch, work);
      recording = std::move(first);
      return;
    }
    auto& known = static_cast<Recorded&>(*recording);
    if (!known.graph) known.graph = std::make_unique<Graph>(stream_, [&] { with_arena(*known.scratch, work); });
    known.graph->launch(stream_);
  }

  void pace() override {
    rounds_[round_].record(stream_);
    round_ = 1 - round_;
    rounds_[round_].wait();  // the one before; an event never recorded counts as reached
  }

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

  ops::PackedPtr packed(const WeightLayout& layout, const std::vector<ops::WeightRows>& parts, int64_t height = 1, int64_t width = 1) {
    auto weight = std::make_unique<Weight>();
    weight->layout = layout;
    weight->height = height, weight->width = width;
    weight->mutex = &weights_mutex_;
    {
      const std::lock_guard lock(weights_mutex_);
      weight->memory = (offloads_ ? pinned_ : weights_).take({layout.bytes()}, DType::u8);
    }
    if (offloads_) {
      lay_out(layout, parts, 0, layout.rows(), static_cast<std::byte*>(weight->memory.address()));
      return weight;
    }
    const size_t row = size_t(layout.row_bytes());
    transfers_.upload(weight->memory.address(), size_t(layout.bytes()), row,
                      [&](size_t first, size_t bytes, std::byte* to) { lay_out(layout, parts, int64_t(first / row), int64_t(bytes / row), to); });
    return weight;
  }

  Narrowed narrowed(ConstTensor x, const Weight& weight) {
    const WeightLayout& layout = weight.layout;
    const Element element = element_of(layout.type);
    if (x.type() == layout.type && layout.in == layout.inner()) return {element, x.address(), {}};
    const int64_t rows = x.elements() / layout.in;
    Array copy = arena().take({rows, layout.inner()}, layout.type);
    go(launch_of(Narrow{x.type(), element, x.address(), copy.address(), rows, layout.in, layout.inner()}));
    return {element, copy.address(), std::move(copy)};
  }

  // x · downᵀ of a low-rank addition [rows, rank]; nothing where there is none.
  template <class LaunchOf>
  Array first_half(const ops::LowRank& added, int64_t rows, const LaunchOf& launch) {
    if (!added.down) return {};
    const Weight& down = weight_of(added.down);
    Array half = arena().take({rows, down.layout.rows()}, down.layout.type);
    go(launch(down, half.address()));
    return half;
  }
  static cuda::Linear::Product second_half(const ops::LowRank& added, const Array& half, const Using& weights) {
    const Weight& up = weight_of(added.up);
    require(up.layout.inner() == half.shape().last(), "the halves of a low-rank addition do not fit together");
    return {half.address(), weights.address(up), up.layout.inner()};
  }

  static Epilogue epilogue(ConstTensor bias, ConstTensor per_image, ConstTensor residual, Tensor y, ops::Activation activation, const Weight& weight) {
    require(!residual || residual.type() == weight.layout.type, "what is added to a product has another type");
    require(y.type() == DType::f32 || y.type() == weight.layout.type, "the result of a product has another type than its weight");
    return {.y = y.address(),
            .y_float = y.type() == DType::f32,
            .bias = floats(bias),
            .per_image = floats(per_image),
            .residual = residual.address(),
            .activation = activation_of(activation, weight.layout)};
  }

  // A small table on the GPU, which stays: recordings read it later. Null for no bytes.
  const void* kept(const void* values, size_t bytes) {
    if (bytes == 0) return nullptr;
    constexpr size_t kMost = 256;
    if (tables_.size() > kMost && scratch_.expired()) tables_.clear();
    Array& table = tables_[std::string(static_cast<const char*>(values), bytes)];
    if (!table) {
      const std::lock_guard lock(weights_mutex_);
      table = (offloads_ ? arena_ : weights_).take({int64_t(bytes)}, DType::u8);
      transfers_.upload(table.address(), values, bytes);
    }
    return table.address();
  }

  void download(const void* from, int64_t bytes, void* to) {
    transfers_.download(from, size_t(bytes),
                        [&](size_t first, size_t some, const std::byte* buffer) { std::copy_n(buffer, some, static_cast<std::byte*>(to) + first); });
  }

  void with_arena(Arena& arena, const std::function<void()>& work) {
    struct Within {
      Arena*& place;
      ~Within() { place = nullptr; }
    } within{recorded_};
    recorded_ = &arena;
    work();
  }

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

}  // namespace

std::unique_ptr<ops::Backend> make_backend(const BackendOptions& options) { return std::make_unique<CudaBackend>(options); }

}  // namespace sdxl::cuda
