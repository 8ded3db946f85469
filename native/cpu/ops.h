// One function per op, each in a file of its name.
#pragma once

#include "cpu/context.h"
#include "ops/backend.h"

namespace sdxl::cpu {

void run(const Context& context, const ops::Linear& op);
void run(const Context& context, const ops::Conv2d& op);
void run(const Context& context, const ops::GroupNorm& op);
void run(const Context& context, const ops::LayerNorm& op);
void run(const Context& context, const ops::Attention& op);
void run(const Context& context, const ops::Activate& op);
void run(const Context& context, const ops::Embedding& op);
void run(const Context& context, const ops::Sinusoid& op);
void run(const Context& context, const ops::Combine& op);
void run(const Context& context, const ops::Concat& op);
void run(const Context& context, const ops::Blend& op);
void run(const Context& context, const ops::Rescale& op);
void run(const Context& context, const ops::Project& op);
void run(const Context& context, const ops::Noise& op);
void run(const Context& context, const ops::Rgb& op);

}  // namespace sdxl::cpu
