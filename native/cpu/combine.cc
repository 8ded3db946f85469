#include <vector>

#include "cpu/ops.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Combine& op) {
  std::vector<float> coefficients;
  for (const ops::Combine::Term& term : op.terms) {
    require(term.x.elements() == op.y.elements(), "combine: a term has another shape than the output");
    coefficients.push_back(term.coefficient);
  }
  context.in_pieces(op.y.elements(), 16384, [&](int64_t begin, int64_t end) {
    std::vector<const float*> from;
    for (const ops::Combine::Term& term : op.terms) from.push_back(term.x.data() + begin);
    context.kernels.combine(from.data(), coefficients.data(), int64_t(from.size()), op.y.data() + begin, end - begin);
  });
}

}  // namespace sdxl::cpu
