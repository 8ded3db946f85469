#include "cuda/launch/elementwise.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "cuda/kernels/activation_parameters.h"
#include "cuda/kernels/convert_parameters.h"
#include "cuda/kernels/embedding_parameters.h"
#include "cuda/kernels/layout_parameters.h"
#include "cuda/kernels/narrow_parameters.h"
#include "cuda/launch/flat.h"

namespace sdxl::cuda {

namespace {

const char* name_of(Function function) {
  switch (function) {
    case Function::silu: return "silu";
    case Function::gelu: return "gelu";
    case Function::quick_gelu: return "quick_gelu";
    case Function::relu: break;
  }
  return "relu";
}

// Conversions read formats that nothing computes with.
const char* source_name(DType type) {
  switch (type) {
    case DType::f8_e4m3: return "e4m3";
    case DType::f8_e5m2: return "e5m2";
    default: return kernel_name(type);
  }
}

std::string kind(int64_t vector, Element element) { return "_" + std::to_string(vector) + "_" + name_of(element); }

}  // namespace

Launch launch_of(const Activate& op) {
  const int64_t vector = op.count % 8 == 0 && aligned_16(op.x, op.y) ? 8 : 1;
  return flat_launch("activation", name_of(op.function) + kind(vector, op.element), op.count / vector, ActivationParameters{op.x, op.y, op.count, 0});
}

Launch launch_of(const Geglu& op) {
  const int64_t vector = op.width % 8 == 0 && aligned_16(op.x, op.y) ? 8 : 1, count = op.rows * op.width;
  return flat_launch("activation", "geglu" + kind(vector, op.element), count / vector, ActivationParameters{op.x, op.y, count, op.width});
}

Launch launch_of(const Convert& op) {
  const bool wide = op.to == DType::f32 || op.to == DType::f16 || op.to == DType::bf16;
  if (!wide || op.from == op.to) throw Error(Code::internal, std::string("no kernel makes ") + sdxl::name_of(op.to) + " of " + sdxl::name_of(op.from));
  const bool small = op.from == DType::f8_e4m3 || op.from == DType::f8_e5m2;
  if (op.to != DType::f32 && !small) return launch_of(Narrow{op.from, op.to == DType::bf16 ? Element::bf16 : Element::fp16, op.x, op.y, 1, op.count, op.count});
  return flat_launch("convert", std::string("convert_") + source_name(op.from) + "_" + kernel_name(op.to), op.count, ConvertParameters{op.x, op.y, op.count});
}

Launch launch_of(const Narrow& op) {
  if (op.padded < op.width)
    throw Error(Code::internal, "rows of " + std::to_string(op.width) + " elements do not fit into rows of " + std::to_string(op.padded));
  NarrowParameters p{op.x, op.y, op.rows, op.width, op.padded};
  if (p.width == p.padded) p = {op.x, op.y, 1, op.rows * op.width, op.rows * op.width};  // one row, so that odd widths come in eights too
  const int64_t write = p.padded % 8 == 0 && aligned_16(p.y) ? 8 : 1;
  const int64_t read = write == 8 && p.width % 8 == 0 && aligned_16(p.x) ? 8 : 1;
  return flat_launch("narrow", "narrow_" + std::to_string(read) + "_" + std::to_string(write) + "_" + kernel_name(op.from) + "_" + name_of(op.to),
                     p.rows * p.padded / write, p);
}

Launch launch_of(const Transpose& op) {
  return flat_launch("layout", op.channels_last ? "to_channels_last" : "to_channels_first", op.images * op.pixels * op.channels,
                     TransposeParameters{op.x, op.y, op.images, op.pixels, op.channels});
}

Launch launch_of(const Concat& op) {
  const int64_t unit = op.a_width % 8 == 0 && op.b_width % 8 == 0 && aligned_16(op.a, op.b, op.y) ? 8 : 1;
  const int64_t a = op.a_width / unit, b = op.b_width / unit;
  return flat_launch("layout", unit == 8 ? "concat_16_bytes" : "concat_2_bytes", op.rows * (a + b), ConcatParameters{op.a, op.b, op.y, op.rows, a, b});
}

Launch launch_of(const Embedding& op) {
  const int64_t rows = op.batch * op.length;
  return flat_launch("embedding", std::string("embed_") + kernel_name(op.table_type) + "_" + name_of(op.element), rows * op.width,
                     EmbeddingParameters{op.ids, op.table, op.positions, op.y, rows, op.length, op.width});
}

std::vector<Launch> launches_of(const Sinusoid& op) {
  std::vector<Launch> launches;
  const int64_t count = int64_t(op.values.size());
  for (int64_t first = 0; first < count; first += SinusoidParameters::kValues) {
    const int64_t some = std::min<int64_t>(count - first, SinusoidParameters::kValues);
    SinusoidParameters parameters{
        .values = {}, .y = static_cast<char*>(op.y) + first * op.width * size_of(op.type), .count = int32_t(some), .width = int32_t(op.width)};
    std::copy_n(op.values.begin() + first, some, parameters.values);
    launches.push_back(flat_launch("embedding", std::string("sinusoid_") + kernel_name(op.type), some * op.width, parameters));
  }
  return launches;
}

}  // namespace sdxl::cuda
