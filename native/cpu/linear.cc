#include "cpu/matrix_product.h"
#include "cpu/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Linear& op) {
  const auto& weight = static_cast<const PackedWeight&>(*op.weight);
  const auto [rows, in] = op.x.dims<2>();
  require(in == weight.depth, "linear: the input is not as wide as the weight");
  require(op.y.shape() == Shape({rows, weight.outputs()}), "linear: the output has another shape");
  require(!op.bias || op.bias.elements() == weight.out, "linear: the bias has another length");
  require(!op.residual || op.residual.elements() == op.y.elements(), "linear: the residual has another shape");
  require(!weight.geglu || op.activation == ops::Activation::none, "linear: an activation before a GEGLU");
  const Array pairs = weight.paired ? rounded_to_pairs(context, op.x.data(), rows, in) : Array();
  const DenseRows wide(op.x.data(), in), narrow(pairs.data(), weight.steps());
  const RowSource& x = weight.paired ? narrow : wide;
  multiply(context,
           {.x = x, .weight = weight, .rows = rows, .bias = op.bias.data(), .residual = op.residual.data(), .y = op.y.data(), .activation = op.activation},
           op.added, wide);
}

}  // namespace sdxl::cpu
