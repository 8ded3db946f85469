#include "core/arena.h"

#include <string>

namespace sdxl {

Error Arena::Source::exhausted(size_t wanted, size_t used) const {
  return Error(Code::out_of_memory,
               "out of memory: " + std::to_string(wanted) + " bytes wanted for activations, " + std::to_string(used) + " in use, and the system gives no more",
               {{"wanted", int64_t(wanted)}, {"used", int64_t(used)}});
}

Array Arena::take(Shape shape) { return Array(this, Tensor(reinterpret_cast<float*>(pool_.take(size_t(shape.elements()) * sizeof(float))), shape)); }

}  // namespace sdxl
