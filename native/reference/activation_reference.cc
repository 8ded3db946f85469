// The meaning of ops::Activation and ops::Activate.
#include <cmath>

#include "reference/ops.h"

namespace sdxl::reference {

double activate(ops::Activation activation, double x) {
  switch (activation) {
    case ops::Activation::none: return x;
    case ops::Activation::silu: return x / (1 + std::exp(-x));
    case ops::Activation::gelu: return x * std::erfc(-x / std::sqrt(2.0)) / 2;
    case ops::Activation::quick_gelu: return x / (1 + std::exp(-1.702 * x));
    case ops::Activation::relu: return x < 0 ? 0 : x;
  }
  return x;
}

void run(const ops::Activate& op) {
  for (int64_t i = 0; i < op.x.elements(); ++i) op.y[i] = float(activate(op.activation, op.x[i]));
}

}  // namespace sdxl::reference
