#include "cuda/launch/attention.h"

#include <cmath>
#include <limits>

#include "core/error.h"
#include "cuda/kernels/attention_wgmma_parameters.h"
#include "cuda/launch/flat.h"

namespace sdxl::cuda {

namespace {

constexpr int kRow = 64;  // elements of a row in shared memory
constexpr int64_t kWidest = 512, kNarrow = 64;

void require(bool ok, const std::string& what) {
  if (!ok) throw Error(Code::internal, "CUDA attention: " + what);
}

int32_t narrow(int64_t value, const char* what) {
  require(value > 0 && value <= std::numeric_limits<int32_t>::max(), std::string(what) + ": " + std::to_string(value));
  return int32_t(value);
}

bool is_masked(const Attention& op) { return op.key_counts || op.hidden || op.causal; }

AttentionParameters parameters_of(const Attention& op) {
  require(op.width > 0 && op.width % 8 == 0 && op.width <= (is_masked(op) ? kNarrow : kWidest), "heads of " + std::to_string(op.width) + " elements");
  require(op.q_stride % 8 == 0 && op.kv_stride % 8 == 0 && aligned_16(op.q, op.k, op.v, op.y), "rows have to be aligned to 16 bytes");
  require(op.kv_batch > 0 && op.batch % op.kv_batch == 0, "a batch of " + std::to_string(op.batch) + " over " + std::to_string(op.kv_batch));
  require(op.heads <= 65535 && op.batch <= 65535, "more heads or items than a grid has");
  return {.q = op.q,
          .k = op.k,
          .v = op.v,
          .y = op.y,
          .q_stride = op.q_stride,
          .kv_stride = op.kv_stride,
          .y_stride = op.heads * op.width,
          .batch = narrow(op.batch, "batch"),
          .kv_batch = narrow(op.kv_batch, "batch of keys"),
          .queries = narrow(op.queries, "queries"),
          .keys = narrow(op.keys, "keys"),
          .heads = narrow(op.heads, "heads"),
          .width = int32_t(op.width),
          .scale = float(std::log2(std::exp(1.0)) / std::sqrt(double(op.width))),
          .key_counts = op.key_counts,
          .hidden = op.hidden,
          .causal = op.causal};
}

Launch wide(const Attention& op, const AttentionParameters& p, const Chip& chip) {
  constexpr int kRows = 64, kKeys = 64, kRing = 3;
  const int64_t pieces = ceil_div(op.width, kRow);
  const int64_t shared = (pieces * kRows + kRing * kKeys + kRows) * kRow * 2 + 2 * kRows * 4;
  require(shared <= chip.shared_bytes, std::to_string(shared) + " bytes of shared memory do not fit");
  return Launch("attention_wide", std::string("attention_wide_") + name_of(op.element),
                {unsigned(ceil_div(op.queries, kRows)), unsigned(p.heads), unsigned(p.batch)}, 256, unsigned(shared), p);
}

}  // namespace

Launch launch_of(const Attention& op, const Chip& chip) {
  const bool masked = is_masked(op);
  const AttentionParameters p = parameters_of(op);
  if (op.width > kNarrow) return wide(op, p, chip);

  // A tile of 80 keys wastes least on prompts (77·n) and other short rows of keys; 64 leaves registers for keeping q.
  const bool prompt = masked || ceil_div(op.keys, 80) * 80 < ceil_div(op.keys, 64) * 64;
  const int64_t keys = prompt && op.keys <= 1024 ? 80 : 64;
  // Twice the rows read k and v half as often; worth it once they fill the chip.
  const int64_t rows = !masked && ceil_div(op.queries, 128) * op.heads * op.batch >= 2 * chip.multiprocessors ? 128 : 64;
  const int64_t tile = masked ? 80 : keys;
  const int64_t shared = (rows + 2 * 2 * tile) * kRow * 2;
  const std::string kernel = std::string("attention_") + name_of(op.element) + (masked ? "_masked_" : "_") + std::to_string(rows) + "x" + std::to_string(tile);
  return Launch("attention", kernel, {unsigned(ceil_div(op.queries, rows)), unsigned(p.heads), unsigned(p.batch)}, 128, unsigned(shared), p);
}

bool wgmma_can(const Attention& op) { return op.width == kRow && !is_masked(op); }

Launch wgmma_launch_of(const Attention& op, const Chip& chip, const TensorMapEncoder& encode) {
  constexpr int kRows = 128, kKeys = 128, kStages = 2, kBarriers = 1 + 4 * kStages;
  constexpr unsigned kThreads = 384;
  require(chip.architecture == 90 && wgmma_can(op), "no wgmma kernel for it");
  const auto map = [&](const void* data, int64_t batch, int64_t rows, int64_t stride, int box_rows) {
    return encode({.data = data,
                   .dimensions = 4,
                   .sizes = {kRow, op.heads, rows, batch},
                   .strides = {2, 2 * kRow, 2 * stride, 2 * stride * rows},
                   .box = {kRow, 1, box_rows, 1}});
  };
  const AttentionWgmmaParameters p{.q = map(op.q, op.batch, op.queries, op.q_stride, kRows),
                                   .k = map(op.k, op.kv_batch, op.keys, op.kv_stride, kKeys),
                                   .v = map(op.v, op.kv_batch, op.keys, op.kv_stride, kKeys),
                                   .attention = parameters_of(op)};
  const int64_t shared = (kRows + 2 * kStages * kKeys) * kRow * 2 + kBarriers * 8;
  return Launch("attention_wgmma", std::string("attention_wgmma_") + name_of(op.element),
                {unsigned(ceil_div(op.queries, kRows)), unsigned(op.heads), unsigned(op.batch)}, kThreads, unsigned(shared), p);
}

Launch fastest_launch_of(const Attention& op, const Chip& chip, const TensorMapEncoder& encode) {
  constexpr int64_t kManyKeys = 256;  // prompts have fewer, and waste less in tiles of 80
  return chip.architecture == 90 && wgmma_can(op) && op.keys >= kManyKeys ? wgmma_launch_of(op, chip, encode) : launch_of(op, chip);
}

}  // namespace sdxl::cuda
