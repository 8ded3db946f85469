#include "cuda/backend/backend.h"

#include <algorithm>
#include <utility>

#include "cuda/backend/cuda_backend.h"
#include "cuda/driver/memory.h"

namespace sdxl::cuda {

namespace {

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

}  // namespace

CudaBackend::CudaBackend(const BackendOptions& options)
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

CudaBackend::~CudaBackend() {
  try {
    context_.make_current();  // on whichever thread the last owner lets go
    stream_.finish();
  } catch (const Error&) {  // after a crash nothing is under way
  }
}

ops::PackedPtr CudaBackend::pack(const ops::PackLinear& weight) {
  require(!weight.parts.empty(), "a weight without parts");
  WeightLayout layout{.type = weight_type(weight.storage), .out = 0, .in = weight.parts[0].columns, .geglu = weight.geglu};
  for (const ops::WeightRows& part : weight.parts) layout.out += part.rows;
  return packed(layout, weight.parts);
}

ops::PackedPtr CudaBackend::pack(const ops::PackConv2d& weight) {
  return packed({.type = weight_type(weight.storage), .out = weight.weight.rows, .in = weight.in, .taps = weight.height * weight.width}, {weight.weight},
                weight.height, weight.width);
}

ops::PackedPtr CudaBackend::pack_table(const ops::WeightRows& weight, ops::Storage storage) {
  const DType type = storage == ops::Storage::f32 ? DType::f32 : weight_type(storage);
  return packed({.type = type, .out = weight.rows, .in = weight.columns, .table = true}, {weight});
}

ops::PackedPtr CudaBackend::changed(const ops::Packed& weight, const std::function<void(float*)>& change) {
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

void CudaBackend::parallel(int64_t count, const std::function<void(int64_t)>& task) {
  pool_.parallel(count, [&](int64_t i) {
    context_.make_current();
    task(i);
  });
}

Array CudaBackend::to_device(Array values, DType type) {
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

ops::HostView CudaBackend::view(ConstTensor values) {
  ops::HostView result{host_.take(values.shape()), {}};
  result.values = result.copy;
  const int64_t size = size_of(values.type());
  transfers_.download(values.address(), size_t(values.bytes()), [&](size_t first, size_t some, const std::byte* from) {
    float* to = result.copy.data() + int64_t(first) / size;
    for (int64_t i = 0; i < int64_t(some) / size; ++i) to[i] = value_at(from, values.type(), i);
  });
  return result;
}

void CudaBackend::repeat(std::unique_ptr<Recording>& recording, const std::function<void()>& work) {
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

void CudaBackend::pace() {
  rounds_[round_].record(stream_);
  round_ = 1 - round_;
  rounds_[round_].wait();  // the one before; an event never recorded counts as reached
}

ops::PackedPtr CudaBackend::packed(const WeightLayout& layout, const std::vector<ops::WeightRows>& parts, int64_t height, int64_t width) {
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

const void* CudaBackend::kept(const void* values, size_t bytes) {
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

void CudaBackend::download(const void* from, int64_t bytes, void* to) {
  transfers_.download(from, size_t(bytes),
                      [&](size_t first, size_t some, const std::byte* buffer) { std::copy_n(buffer, some, static_cast<std::byte*>(to) + first); });
}

void CudaBackend::with_arena(Arena& arena, const std::function<void()>& work) {
  struct Within {
    Arena*& place;
    ~Within() { place = nullptr; }
  } within{recorded_};
  recorded_ = &arena;
  work();
}

std::unique_ptr<ops::Backend> make_backend(const BackendOptions& options) { return std::make_unique<CudaBackend>(options); }

}  // namespace sdxl::cuda
