// Which instruction sets there are, and which of them this machine has.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cpu/kernels.h"

namespace sdxl::cpu {

// Best first; "plain" is always the last.
std::vector<const Kernels*> usable_kernels();

// The set of that name, "" for the best. Throws Error(device_unavailable) for one that this machine or this build does not have.
const Kernels& kernels_named(std::string_view isa);

}  // namespace sdxl::cpu
