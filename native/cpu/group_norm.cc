#include <cmath>

#include "cpu/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::GroupNorm& op) {
  const auto [batch, height, width, channels_of_x] = op.x.dims<4>();
  const int64_t channels = channels_of_x, pixels = height * width;
  require(op.groups > 0 && channels % op.groups == 0, "group norm: the groups do not divide the channels");
  require(op.weight.elements() == channels && op.bias.elements() == channels, "group norm: weight or bias has another length");
  require(op.y.elements() == op.x.elements(), "group norm: the output has another shape");
  if (op.x.elements() == 0) return;

  // Chunks of pixels are the unit of all work: as many as there are, whatever the threads, so the sums are always the same ones.
  const int64_t chunk = std::max<int64_t>(1, 32768 / channels), chunks = Context::blocks(pixels, chunk);
  const int64_t room = Context::round_up(channels, kPanelMax);
  const auto pixels_of = [&](int64_t c) { return std::min(chunk, pixels - c * chunk); };
  const auto first_of = [&](int64_t i) { return (i / chunks * pixels + i % chunks * chunk) * channels; };

  const Array sums = context.arena.take({batch * chunks, 2, room, 2});  // doubles, each in the place of two floats
  const auto sums_of = [&](int64_t i) { return reinterpret_cast<double*>(sums.data()) + i * 2 * room; };
  context.pool.parallel(batch * chunks, [&](int64_t i) {
    std::fill_n(sums_of(i), 2 * room, 0.0);
    context.kernels.channel_sums(op.x.data() + first_of(i), pixels_of(i % chunks), channels, sums_of(i), sums_of(i) + room);
  });

  const Array factors = context.arena.take({batch, 2, channels});  // mean and scale of each channel
  context.pool.parallel(batch * op.groups, [&](int64_t i) {
    const int64_t image = i / op.groups, per_group = channels / op.groups, first = i % op.groups * per_group;
    double sum = 0, square = 0;
    for (int64_t c = 0; c < chunks; ++c)
      for (int64_t channel = first; channel < first + per_group; ++channel) {
        sum += sums_of(image * chunks + c)[channel];
        square += sums_of(image * chunks + c)[room + channel];
      }
    const double count = double(pixels * per_group), mean = sum / count, variance = std::max(0.0, square / count - mean * mean);
    float *means = factors.data() + image * 2 * channels, *scales = means + channels;
    for (int64_t channel = first; channel < first + per_group; ++channel) {
      means[channel] = float(mean);
      scales[channel] = float(op.weight[channel] / std::sqrt(variance + op.eps));
    }
  });

  context.pool.parallel(batch * chunks, [&](int64_t i) {
    const float *means = factors.data() + i / chunks * 2 * channels, *scales = means + channels;
    const float* x = op.x.data() + first_of(i);
    context.kernels.normalize(x, op.y.data() + first_of(i), pixels_of(i % chunks), channels, means, scales, op.bias.data(), op.silu);
  });
}

}  // namespace sdxl::cpu
