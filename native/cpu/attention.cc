// Dao et al. 2022 (FlashAttention): blocks of keys pass by blocks of queries, the matrix of all scores never exists.
#include <cmath>
#include <limits>

#include "cpu/ops.h"

namespace sdxl::cpu {

namespace {

constexpr int64_t kQueries = 96;   // of a block
constexpr int64_t kDepth = 256;    // of one product: the panel stays in the first cache
constexpr float kHidden = -1e30f;  // a score whose exponential is 0 beside any other; minus infinity would be NaN in its difference to itself

// Few keys at a time where heads are wide, so that a block of keys and values stays in the second cache.
int64_t keys_of_block(int64_t width) { return width <= 128 ? 256 : 128; }

// Keys and values of one head in panels. The rests of panels are zero.
struct Panels {
  int64_t keys, width, panel;

  int64_t key_rows() const { return Context::round_up(keys, panel); }
  int64_t columns() const { return Context::round_up(width, panel); }
  int64_t key_size() const { return key_rows() * width; }  // [keys / panel, width, panel]
  int64_t value_size() const { return columns() * keys; }  // [width / panel, keys, panel]
};

void pack_keys(const Panels& p, const float* k, int64_t stride, float* to) {
  for (int64_t key0 = 0; key0 < p.keys; key0 += p.panel, to += p.width * p.panel) {
    const int64_t count = std::min(p.panel, p.keys - key0);
    for (int64_t d = 0; d < p.width; ++d)
      for (int64_t j = 0; j < p.panel; ++j) to[d * p.panel + j] = j < count ? k[(key0 + j) * stride + d] : 0;
  }
}

void pack_values(const Panels& p, const float* v, int64_t stride, float* to) {
  for (int64_t d0 = 0; d0 < p.width; d0 += p.panel)
    for (int64_t key = 0; key < p.keys; ++key, to += p.panel) {
      const int64_t count = std::min(p.panel, p.width - d0);
      std::memcpy(to, v + key * stride + d0, size_t(count) * sizeof(float));
      std::fill(to + count, to + p.panel, 0.0f);
    }
}

// One block of queries of one head: its scratch and what passes by.
class QueryBlock {
 public:
  QueryBlock(const Kernels& kernels, const Panels& panels, int64_t rows, float* scratch)
      : kernels_(kernels), panels_(panels), rows_(rows), block_(keys_of_block(panels.width)) {
    q_ = scratch;
    scores_ = q_ + kQueries * panels.width;
    y_ = scores_ + kQueries * block_;
    top_ = y_ + kQueries * panels.columns();
    sum_ = top_ + kQueries;
  }
  static int64_t scratch_size(const Panels& p) { return kQueries * (p.width + keys_of_block(p.width) + p.columns() + 2); }

  // The scale of the scores goes to the queries, where it costs least.
  void begin(const float* q, int64_t stride) {
    const float scale = float(1 / std::sqrt(double(panels_.width)));
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t d = 0; d < panels_.width; ++d) q_[r * panels_.width + d] = q[r * stride + d] * scale;
    std::fill_n(y_, rows_ * panels_.columns(), 0.0f);
    std::fill_n(top_, rows_, -std::numeric_limits<float>::infinity());
    std::fill_n(sum_, rows_, 0.0f);
  }

  // Row r sees the first visible + r · visible_step keys, the first row at least one. `hidden`: [count], or null.
  void see(const float* keys, const float* values, int64_t count, int64_t visible, int64_t visible_step, const uint8_t* hidden) {
    const int64_t panel = panels_.panel, width = panels_.width, most = std::min(count, visible + (rows_ - 1) * visible_step);
    for (int64_t key0 = 0; key0 < most; key0 += block_) {
      const int64_t here = std::min(block_, most - key0);
      for (int64_t j = 0; j < here; j += panel)
        for (int64_t d = 0; d < width; d += kDepth)
          kernels_.multiply(rows_, std::min(kDepth, width - d), q_ + d, width, keys + (key0 + j) * width + d * panel, scores_ + j, block_, d > 0);
      for (int64_t j = 0; hidden && j < here; ++j)
        if (hidden[key0 + j])
          for (int64_t r = 0; r < rows_; ++r) scores_[r * block_ + j] = kHidden;
      kernels_.softmax({.scores = scores_,
                        .rows = rows_,
                        .keys = here,
                        .score_stride = block_,
                        .visible = visible - key0,
                        .visible_step = visible_step,
                        .top = top_,
                        .sum = sum_,
                        .y = y_,
                        .width = panels_.columns()});
      for (int64_t c = 0; c < panels_.columns(); c += panel)
        kernels_.multiply(rows_, here, scores_, block_, values + (c / panel * panels_.keys + key0) * panel, y_ + c, panels_.columns(), true);
    }
  }

  void end(float* y, int64_t stride) const {
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t d = 0; d < panels_.width; ++d) y[r * stride + d] = y_[r * panels_.columns() + d] / sum_[r];
  }

 private:
  const Kernels& kernels_;
  const Panels& panels_;
  int64_t rows_, block_;
  float *q_, *scores_, *y_, *top_, *sum_;
};

}  // namespace

void run(const Context& context, const ops::Attention& op) {
  require(op.kv_batch > 0 && op.batch % op.kv_batch == 0, "attention: batch is no multiple of kv_batch");
  require(op.key_counts.empty() || int64_t(op.key_counts.size()) == op.kv_batch, "attention: not one key count for each item");
  require(op.y.elements() == op.batch * op.queries * op.heads * op.width, "attention: the output has another shape");
  for (const int64_t count : op.key_counts) require(count >= 0 && count <= op.keys, "attention: a key count beyond the keys");
  require(op.hidden.empty() || int64_t(op.hidden.size()) == op.kv_batch * op.keys, "attention: not one mark for each key");

  const Panels panels{op.keys, op.width, context.kernels.panel};
  const int64_t head_size = Context::round_up(panels.key_size() + panels.value_size(), 16);
  const Array packed = context.arena.take({op.kv_batch * op.heads, head_size});
  context.pool.parallel(op.kv_batch * op.heads, [&](int64_t i) {
    const int64_t from = i / op.heads * op.keys * op.kv_stride + i % op.heads * op.width;
    float* to = packed.data() + i * head_size;
    pack_keys(panels, static_cast<const float*>(op.k) + from, op.kv_stride, to);
    pack_values(panels, static_cast<const float*>(op.v) + from, op.kv_stride, to + panels.key_size());
  });

  const int64_t blocks = Context::blocks(op.queries, kQueries), y_stride = op.heads * op.width;
  context.with_scratch(op.batch * op.heads * blocks, QueryBlock::scratch_size(panels), [&](int64_t task, float* scratch) {
    const int64_t batch = task / blocks / op.heads, head = task / blocks % op.heads, first = task % blocks * kQueries;
    const int64_t rows = std::min(kQueries, op.queries - first), item = batch * op.kv_batch / op.batch;
    const int64_t count = op.key_counts.empty() ? op.keys : op.key_counts[size_t(item)], row0 = batch * op.queries + first;
    float* y = op.y.data() + row0 * y_stride + head * op.width;
    if (count == 0) {
      for (int64_t r = 0; r < rows; ++r) std::fill_n(y + r * y_stride, op.width, 0.0f);
      return;
    }
    QueryBlock block(context.kernels, panels, rows, scratch);
    block.begin(static_cast<const float*>(op.q) + row0 * op.q_stride + head * op.width, op.q_stride);
    const float* keys = packed.data() + (item * op.heads + head) * head_size;
    const uint8_t* hidden = op.hidden.empty() ? nullptr : op.hidden.data() + item * op.keys;
    block.see(keys, keys + panels.key_size(), count, op.causal ? first + 1 : count, op.causal ? 1 : 0, hidden);
    block.end(y, y_stride);
  });
}

}  // namespace sdxl::cpu
