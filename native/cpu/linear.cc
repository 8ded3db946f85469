#include "cpu/matrix_product.h"
#include "cpu/ops.h"

namespace sdxl::cpu {

namespace {

class DenseRows final : public RowSource {
 public:
  DenseRows(const float* x, int64_t columns) : x_(x), columns_(columns) {}
  void copy(int64_t row0, int64_t rows, int64_t k0, int64_t depth, float* to, int64_t stride) const override {
    for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * stride, x_ + (row0 + i) * columns_ + k0, size_t(depth) * sizeof(float));
  }

 private:
  const float* x_;
  int64_t columns_;
};

}  // namespace

void run(const Context& context, const ops::Linear& op) {
  const auto& weight = static_cast<const PackedWeight&>(*op.weight);
  const auto [rows, in] = op.x.dims<2>();
  require(in == weight.depth, "linear: the input is not as wide as the weight");
  require(op.y.shape() == Shape({rows, weight.outputs()}), "linear: the output has another shape");
  require(!op.bias || op.bias.elements() == weight.out, "linear: the bias has another length");
  require(!op.residual || op.residual.elements() == op.y.elements(), "linear: the residual has another shape");
  require(!weight.geglu || op.activation == ops::Activation::none, "linear: an activation before a GEGLU");
  multiply(context, {.x = DenseRows(op.x.data(), in),
                     .weight = weight,
                     .rows = rows,
                     .bias = op.bias.data(),
                     .residual = op.residual.data(),
                     .y = op.y.data(),
                     .activation = op.activation});
}

}  // namespace sdxl::cpu
