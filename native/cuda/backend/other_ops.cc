#include <cstring>
#include <numeric>

#include "cuda/backend/cuda_backend.h"
#include "cuda/launch/attention.h"
#include "cuda/launch/elementwise.h"
#include "cuda/launch/latents.h"
#include "cuda/launch/norms.h"

namespace sdxl::cuda {

namespace {

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

}  // namespace

void CudaBackend::run(const ops::GroupNorm& op) {
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

void CudaBackend::run(const ops::LayerNorm& op) {
  const auto [rows, channels] = op.x.dims<2>();
  go(launch_of(LayerNorm{element_of(op.x.type()), op.x.address(), op.y.address(), floats(op.weight), floats(op.bias), rows, channels, op.eps}));
}

void CudaBackend::run(const ops::Attention& op) {
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

void CudaBackend::run(const ops::Activate& op) {
  go(launch_of(Activate{element_of(op.x.type()), op.x.address(), op.y.address(), op.x.elements(), function_of(op.activation)}));
}

void CudaBackend::run(const ops::Embedding& op) {
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

void CudaBackend::run(const ops::Sinusoid& op) {
  for (const Launch& launch : launches_of(cuda::Sinusoid{op.y.type(), op.values, op.y.address(), op.y.shape().last()})) go(launch);
}

void CudaBackend::run(const ops::Combine& op) {
  if (op.terms.size() == 1 && op.terms[0].coefficient == 1 && op.terms[0].x.type() == op.y.type()) {
    if (op.terms[0].x.address() != op.y.address()) stream_.copy(op.y.address(), op.terms[0].x.address(), size_t(op.y.bytes()));
    return;
  }
  cuda::Combine sum{.type = op.y.type(), .terms = {}, .y = op.y.address(), .count = op.y.elements(), .outside = {}};
  for (const auto& [coefficient, x] : op.terms) sum.terms.push_back({coefficient, floats(x)});
  for (const Launch& launch : launches_of(sum)) go(launch);
}

void CudaBackend::run(const ops::Concat& op) {
  require(op.a.type() == op.y.type() && op.b.type() == op.y.type(), "tensors of unlike types side by side");
  const auto [rows, a] = op.a.dims<2>();
  const int64_t halves = size_of(op.y.type()) / 2;  // the kernel knows nothing but pieces of two bytes
  go(launch_of(cuda::Concat{op.a.address(), op.b.address(), op.y.address(), rows, a * halves, op.b.shape().last() * halves}));
}

void CudaBackend::run(const ops::Blend& op) {
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

void CudaBackend::run(const ops::Rescale& op) {
  const int64_t images = op.y.shape()[0];
  go(launch_of(cuda::Rescale{floats(op.like), op.y.data(), images, op.y.elements() / images, op.share}));
}

void CudaBackend::run(const ops::Project& op) {
  const int64_t images = op.y.shape()[0];
  go(launch_of(cuda::Project{floats(op.along), op.y.data(), images, op.y.elements() / images, op.share, op.limit}));
}

void CudaBackend::run(const ops::Noise& op) {
  const auto [images, height, width, channels] = op.y.dims<4>();
  require(images == int64_t(op.seeds.size()), "not one seed for each image");
  for (const Launch& launch : launches_of(cuda::Noise{op.seeds, op.draw, op.y.data(), height * width, channels})) go(launch);
}

void CudaBackend::run(const ops::Rgb& op) {
  const int64_t pixels = op.x.elements() / 3;
  const Array bytes = arena().take({3 * pixels}, DType::u8), bad = arena().take({1}, DType::i32);
  stream_.fill(bad.address(), 0, sizeof(uint32_t));
  go(launch_of(cuda::Rgb{op.x.type(), op.x.address(), static_cast<uint8_t*>(bytes.address()), static_cast<uint32_t*>(bad.address()), pixels, 3}));
  uint32_t found = 0;
  download(bytes.address(), 3 * pixels, op.y);
  download(bad.address(), sizeof found, &found);
  if (found) throw Error(Code::internal, "the VAE returned pixels that are no numbers; are the latents finite?");
}

}  // namespace sdxl::cuda
