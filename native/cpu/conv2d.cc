#include "cpu/matrix_product.h"
#include "cpu/ops.h"

namespace sdxl::cpu {

namespace {

// Row r is the patch under output pixel r, in the order kernel row, kernel column, channel: pieces that lie together in the picture.
class Patches final : public RowSource {
 public:
  // x: [batch, height, width, channels] of op.x, or its pairs
  Patches(const ops::Conv2d& op, const PackedWeight& weight, const float* x, int64_t channels)
      : x_(x),
        height_(op.x.shape()[1]),
        width_(op.x.shape()[2]),
        channels_(channels),
        out_height_(op.y.shape()[1]),
        out_width_(op.y.shape()[2]),
        kernel_width_(weight.width),
        stride_(op.stride),
        padding_(op.padding),
        scale_(op.upsample ? 2 : 1),
        seen_height_(op.upsample ? out_height_ : height_),
        seen_width_(op.upsample ? out_width_ : width_),
        wrap_x_(op.wrap_x),
        wrap_y_(op.wrap_y) {}

  void copy(int64_t row0, int64_t rows, int64_t k0, int64_t depth, float* to, int64_t stride) const override {
    for (int64_t k = k0; k < k0 + depth;) {
      const int64_t tap = k / channels_, channel = k % channels_, count = std::min(channels_ - channel, k0 + depth - k);
      const int64_t down = tap / kernel_width_ - padding_, right = tap % kernel_width_ - padding_;
      int64_t column = row0 % out_width_, row = row0 / out_width_ % out_height_, image = row0 / out_width_ / out_height_;
      for (int64_t i = 0; i < rows; ++i) {
        int64_t y = row * stride_ + down, x = column * stride_ + right;
        float* piece = to + i * stride + (k - k0);
        if (is_outside(y, x) && is_padding(y, x)) std::memset(piece, 0, size_t(count) * sizeof(float));
        else {
          const int64_t pixel = (image * height_ + y / scale_) * width_ + x / scale_;
          std::memcpy(piece, x_ + pixel * channels_ + channel, size_t(count) * sizeof(float));
        }
        if (++column < out_width_) continue;
        column = 0;
        if (++row < out_height_) continue;
        row = 0;
        ++image;
      }
      k += count;
    }
  }

 private:
  bool is_outside(int64_t y, int64_t x) const { return y < 0 || x < 0 || y >= seen_height_ || x >= seen_width_; }
  // Of a place outside the picture; one that is not padding moves to where it is read.
  bool is_padding(int64_t& y, int64_t& x) const {
    if (wrap_y_) y = (y % seen_height_ + seen_height_) % seen_height_;
    if (wrap_x_) x = (x % seen_width_ + seen_width_) % seen_width_;
    return is_outside(y, x);
  }

  const float* x_;
  int64_t height_, width_, channels_, out_height_, out_width_, kernel_width_, stride_, padding_, scale_;
  int64_t seen_height_, seen_width_;  // of the picture that the kernel moves over
  bool wrap_x_, wrap_y_;
};

}  // namespace

void run(const Context& context, const ops::Conv2d& op) {
  const auto& weight = static_cast<const PackedWeight&>(*op.weight);
  const auto [batch, height, width, in] = op.x.dims<4>();
  const auto [y_batch, out_height, out_width, out] = op.y.dims<4>();
  require(weight.depth == weight.height * weight.width * in, "conv2d: the input has another number of channels than the weight");
  require(y_batch == batch && out == weight.out, "conv2d: the output has another shape");
  require(!op.upsample || (out_height <= 2 * height && out_width <= 2 * width), "conv2d: the output is larger than the upsampled input");
  require(!op.bias || op.bias.elements() == out, "conv2d: the bias has another length");
  require(!op.per_image || op.per_image.elements() == batch * out, "conv2d: the vector for each image has another shape");
  require(!op.residual || op.residual.elements() == op.y.elements(), "conv2d: the residual has another shape");
  const Array pairs = weight.paired ? rounded_to_pairs(context, op.x.data(), batch * height * width, in) : Array();
  const Patches wide(op, weight, op.x.data(), in), narrow(op, weight, pairs.data(), in / 2);
  const Patches& x = weight.paired ? narrow : wide;
  multiply(context,
           {.x = x,
            .weight = weight,
            .rows = batch * out_height * out_width,
            .bias = op.bias.data(),
            .per_image = op.per_image.data(),
            .rows_per_image = out_height * out_width,
            .residual = op.residual.data(),
            .y = op.y.data(),
            .activation = op.activation},
           op.added, wide);
}

}  // namespace sdxl::cpu
