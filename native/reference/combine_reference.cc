// The meaning of ops::Combine.
#include "reference/ops.h"

namespace sdxl::reference {

void run(const ops::Combine& op) {
  for (int64_t i = 0; i < op.y.elements(); ++i) {
    double sum = 0;
    for (const ops::Combine::Term& term : op.terms) sum += double(term.coefficient) * term.x[i];
    op.y[i] = float(sum);
  }
}

}  // namespace sdxl::reference
