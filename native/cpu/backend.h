// The ops on CPUs.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ops/backend.h"

namespace sdxl {

// `threads`: at least 1, the caller's included; see usable_cpus(). `memory_limit`: bytes for activations, 0 = no limit. `isa`: one of
// available_isas(), or "" for the best. Throws Error(device_unavailable) for an instruction set that this machine does not have.
std::unique_ptr<ops::Backend> make_cpu_backend(int threads, size_t memory_limit, std::string_view isa);

// Names of the instruction sets that this machine has and this build knows, best first; "plain" is always among them.
std::vector<std::string> available_isas();

// Whether weights that are asked for in bf16 are multiplied in it, with sums in fp32; else they are widened. `isa` as above.
bool multiplies_bf16(std::string_view isa);

}  // namespace sdxl
