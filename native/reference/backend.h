// The meaning of every op in plain loops: no speed, double sums. Every other backend is tested against this one.
#pragma once

#include <memory>

#include "ops/backend.h"

namespace sdxl {

std::unique_ptr<ops::Backend> make_reference_backend();

}  // namespace sdxl
