// The meaning of ops::Attention.
#include <algorithm>
#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Attention& op) {
  for (int64_t b = 0; b < op.batch; ++b)
    for (int64_t h = 0; h < op.heads; ++h)
      for (int64_t i = 0; i < op.queries; ++i) {
        const int64_t item = b * op.kv_batch / op.batch;
        int64_t visible = op.key_counts.empty() ? op.keys : op.key_counts[size_t(item)];
        if (op.causal) visible = std::min(visible, i + 1);

        const float* q = static_cast<const float*>(op.q) + (b * op.queries + i) * op.q_stride + h * op.width;
        const auto row = [&](const void* first, int64_t key) {
          return static_cast<const float*>(first) + (item * op.keys + key) * op.kv_stride + h * op.width;
        };
        std::vector<double> weight(static_cast<size_t>(visible));
        double top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < visible; ++j) {
          double dot = 0;
          for (int64_t d = 0; d < op.width; ++d) dot += double(q[d]) * row(op.k, j)[d];
          const bool hidden = !op.hidden.empty() && op.hidden[size_t(item * op.keys + j)];
          weight[size_t(j)] = hidden ? -INFINITY : dot / std::sqrt(double(op.width));
          top = std::max(top, weight[size_t(j)]);
        }
        for (double& w : weight) sum += w = std::exp(w - top);

        for (int64_t d = 0; d < op.width; ++d) {
          double v = 0;
          for (int64_t j = 0; j < visible; ++j) v += weight[size_t(j)] / sum * row(op.v, j)[d];
          op.y[((b * op.queries + i) * op.heads + h) * op.width + d] = float(v);  // no visible key: 0
        }
      }
}

}  // namespace sdxl::reference
