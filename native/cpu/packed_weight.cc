#include "cpu/packed_weight.h"

#include <array>
#include <string>
#include <type_traits>

#include "core/number_format.h"
#include "cpu/context.h"

namespace sdxl::cpu {

using ops::Storage;
using ops::WeightRows;

PackedWeight::Memory::Memory(size_t size) : size_(size) {
  data_ = static_cast<std::byte*>(allocate_memory(std::max<size_t>(size, 1)));
  if (!data_) throw Error(Code::out_of_memory, "out of memory: " + std::to_string(size) + " bytes wanted for a weight", {{"wanted", int64_t(size)}});
}
PackedWeight::Memory::~Memory() {
  if (data_) free_memory(data_);
}
void PackedWeight::allocate(int64_t elements, int64_t zeros) {
  memory_ = Memory(size_t(elements * size_of(storage)));
  std::memset(at(zeros), 0, size_t((elements - zeros) * size_of(storage)));
}

namespace {

DType stored_as(DType file, Storage storage) {
  if (!is_weight(file))
    throw Error(Code::model_format, std::string("holds ") + name_of(file) + " values, which are no weights", {{"found", std::string(name_of(file))}});
  switch (storage) {
    case Storage::f32: return DType::f32;
    case Storage::f16: return DType::f16;
    case Storage::bf16: return DType::bf16;
    case Storage::source: break;
  }
  return file == DType::f32 || file == DType::bf16 ? file : DType::f16;
}

// One storage for all parts; where their files differ, the one that holds each exactly.
DType stored_as(const std::vector<WeightRows>& parts, Storage storage) {
  require(!parts.empty(), "a weight without parts");
  const DType first = stored_as(parts[0].dtype, storage);
  for (const WeightRows& part : parts)
    if (stored_as(part.dtype, storage) != first) return DType::f32;
  return first;
}

// Reads one file format, writes one storage format.
template <DType from, DType to>
class Converter {
 public:
  using In = typename Format<from>::Bits;
  using Out = typename Format<to>::Bits;

  Converter() {
    if constexpr (sizeof(In) == 1)
      for (int i = 0; i < 256; ++i) table_[size_t(i)] = convert(In(i));
  }

  void copy(const std::byte* source, int64_t index, void* to_element) {
    In bits;
    std::memcpy(&bits, source + index * int64_t(sizeof bits), sizeof bits);
    Out out;
    if constexpr (sizeof(In) == 1) out = table_[bits];
    else if constexpr (from == to) out = bits;
    else out = convert(bits);
    std::memcpy(to_element, &out, sizeof out);
    // An infinity that only the rounding made is told apart.
    bad_ |= !is_finite<to>(out);
    bad_source_ |= !is_finite<from>(bits);
  }

  // Writes eight rows of a file, `stride` elements apart, as eight columns of a panel. Steps: a multiple of 8.
  void transpose(const std::byte* source, int64_t stride, int64_t steps, Out* columns, int64_t panel) {
    typedef uint16_t Halves __attribute__((vector_size(16)));
    const Halves exponent = Halves{} + Format<to>::kExponent;
    Halves bad = {};
    for (int64_t step = 0; step < steps; step += 8) {
      Halves rows[8], next[8];
      for (int64_t r = 0; r < 8; ++r) {
        std::memcpy(&rows[r], source + (r * stride + step) * 2, sizeof rows[r]);
        bad |= Halves((rows[r] & exponent) == exponent);
      }
      // Three perfect shuffles of the 64 numbers turn [row, step] into [step, row].
      for (int round = 0; round < 3; ++round) {
        for (int r = 0; r < 4; ++r) {
          next[2 * r] = __builtin_shufflevector(rows[r], rows[r + 4], 0, 8, 1, 9, 2, 10, 3, 11);
          next[2 * r + 1] = __builtin_shufflevector(rows[r], rows[r + 4], 4, 12, 5, 13, 6, 14, 7, 15);
        }
        std::memcpy(rows, next, sizeof rows);
      }
      for (int64_t s = 0; s < 8; ++s) std::memcpy(columns + (step + s) * panel, &rows[s], sizeof rows[s]);
    }
    for (int i = 0; i < 8; ++i) bad_source_ |= bad[i] != 0;
  }
  static constexpr bool kCopiesHalves = from == to && sizeof(Out) == 2;

  void check() const {
    if (bad_source_ || (bad_ && to != DType::f16)) throw Error(Code::model_format, "holds NaN or infinite values");
    if (bad_) throw Error(Code::model_format, "holds values that F16 cannot store (beyond 65504); store it as BF16 or F32");
  }

 private:
  static Out convert(In bits) { return Format<to>::round(Format<from>::widen(bits)); }

  std::array<Out, sizeof(In) == 1 ? 256 : 0> table_;
  bool bad_ = false, bad_source_ = false;
};

// Calls work(converter) with the Converter of two formats known at run time, then checks what it saw.
template <DType to, class Work>
void convert_to(DType from, const Work& work) {
  const auto with = [&](auto converter) {
    work(converter);
    converter.check();
  };
  switch (from) {
    case DType::f32: return with(Converter<DType::f32, to>());
    case DType::f16: return with(Converter<DType::f16, to>());
    case DType::bf16: return with(Converter<DType::bf16, to>());
    case DType::f8_e4m3: return with(Converter<DType::f8_e4m3, to>());
    default: return with(Converter<DType::f8_e5m2, to>());
  }
}
template <class Work>
void convert(DType from, DType to, const Work& work) {
  if (to == DType::f32) return convert_to<DType::f32>(from, work);
  if (to == DType::f16) return convert_to<DType::f16>(from, work);
  return convert_to<DType::bf16>(from, work);
}

// Which panel and which column of it an output goes to.
std::pair<int64_t, int64_t> place_of(const PackedWeight& packed, int64_t output) {
  if (!packed.geglu) return {output / packed.panel, output % packed.panel};
  const bool gate = output >= packed.out / 2;
  const int64_t value = gate ? output - packed.out / 2 : output, half = packed.panel / 2;
  return {value / half, value % half + (gate ? half : 0)};
}

// Writes rows of a file into panels. Row r of `part` is output first_row + r; step k of the depth is the file's column
// (k mod inner) · outer + k / inner, which turns a convolution's [in, kernel] into [kernel, in].
void fill_panels(PackedWeight& packed, const WeightRows& part, int64_t first_row, int64_t inner, int64_t outer) {
  convert(part.dtype, packed.storage, [&](auto& converter) {
    using Out = typename std::remove_reference_t<decltype(converter)>::Out;
    const int64_t row_step = part.transposed ? 1 : part.columns, column_step = part.transposed ? part.rows : 1;
    const auto place = [&](int64_t output) { return place_of(packed, output); };
    // Blocks of rows · steps that stay in the first cache, whichever of the two lies together in the file.
    constexpr int64_t kRows = 16, kSteps = 64;
    const auto fill = [&](int64_t row0, int64_t row_end, int64_t step0) {
      for (int64_t tap = 0; tap < outer; ++tap)
        for (int64_t c0 = step0; c0 < inner; c0 += kSteps)
          for (int64_t row = row0; row < row_end; ++row) {
            const auto [panel, column] = place(first_row + row);
            Out* to = static_cast<Out*>(packed.at(column * packed.column_stride()));
            for (int64_t c = c0; c < std::min(inner, c0 + kSteps); ++c)
              converter.copy(part.data, row * row_step + (c * outer + tap) * column_step, to + packed.element(panel, tap * inner + c));
          }
    };
    for (int64_t row = 0; row < part.rows;) {
      int64_t end = std::min(part.rows, row + kRows), copied = 0;
      if constexpr (std::remove_reference_t<decltype(converter)>::kCopiesHalves) {
        // Most weights of most models: 16 bits, copied as they are. Eight rows that stay neighbours are turned over together.
        const auto [panel, column] = place(first_row + row);
        if (!packed.paired && !part.transposed && outer == 1 && end - row >= 8 && place(first_row + row + 7) == std::pair(panel, column + 7)) {
          end = row + 8;
          copied = inner / 8 * 8;
          Out* columns = static_cast<Out*>(packed.at(panel * packed.depth * packed.panel + column));
          converter.transpose(part.data + row * inner * 2, inner, copied, columns, packed.panel);
        }
      }
      fill(row, end, copied);
      row = end;
    }
  });
}

// The same into pairs, by the instruction set's own rounding. For files of floats or halves that are not transposed.
void fill_pairs(const Kernels& kernels, PackedWeight& packed, const WeightRows& part, int64_t first_row, int64_t inner, int64_t outer) {
  constexpr int64_t kRows = 16, kSteps = 64, kPairs = kSteps / 2;  // whole lines of a panel, from what stays in the first cache
  std::vector<float> wide(size_t(kSteps * outer));
  std::vector<uint16_t> halves(size_t(kSteps * outer));
  std::vector<uint32_t> pairs(size_t(kRows * outer * kPairs));
  uint32_t bad = 0;
  for (int64_t row0 = 0; row0 < part.rows; row0 += kRows) {
    const int64_t rows = std::min(kRows, part.rows - row0);
    uint32_t* columns[kRows];
    for (int64_t r = 0; r < rows; ++r) {
      const auto [panel, column] = place_of(packed, first_row + row0 + r);
      columns[r] = static_cast<uint32_t*>(packed.at(packed.element(panel, 0))) + column;
    }
    const bool together = rows == kRows && columns[kRows - 1] == columns[0] + (kRows - 1) && columns[kRows / 2] == columns[0] + kRows / 2;
    for (int64_t c0 = 0; c0 < inner; c0 += kSteps) {
      const int64_t steps = std::min(kSteps, inner - c0), count = (steps + 1) / 2;
      for (int64_t r = 0; r < rows; ++r) {
        const std::byte* from = part.data + ((row0 + r) * part.columns + c0 * outer) * size_of(part.dtype);
        if (part.dtype == DType::f32) std::memcpy(wide.data(), from, size_t(steps * outer) * 4);
        else {
          std::memcpy(halves.data(), from, size_t(steps * outer) * 2);
          (part.dtype == DType::f16 ? kernels.widen_f16 : kernels.widen_bf16)(halves.data(), steps * outer, wide.data());
        }
        for (int64_t tap = 0; tap < outer; ++tap) {
          float gathered[kSteps];
          for (int64_t c = 0; outer > 1 && c < steps; ++c) gathered[c] = wide[size_t(c * outer + tap)];
          uint32_t* to = pairs.data() + (r * outer + tap) * kPairs;
          kernels.pairs->round(outer > 1 ? gathered : wide.data(), 1, steps, 0, to, 0);
          // NaN and infinity stay so, and what has become infinity is as bad.
          for (int64_t i = 0; i < count; ++i) bad |= uint32_t((to[i] & 0x7F80) == 0x7F80) | uint32_t((to[i] & 0x7F800000) == 0x7F800000);
        }
      }
      for (int64_t tap = 0; tap < outer; ++tap) {
        const uint32_t* from = pairs.data() + tap * kPairs;
        const int64_t first = (tap * inner + c0) / 2, row = outer * kPairs;
        if (together)
          for (int64_t i = 0; i < count; ++i)
            for (int64_t r = 0; r < kRows; ++r) columns[0][(first + i) * packed.panel + r] = from[r * row + i];
        else
          for (int64_t r = 0; r < rows; ++r)
            for (int64_t i = 0; i < count; ++i) columns[r][(first + i) * packed.panel] = from[r * row + i];
      }
    }
  }
  if (bad) throw Error(Code::model_format, "holds NaN or infinite values");
}

void fill(const Kernels& kernels, PackedWeight& packed, const WeightRows& part, int64_t first_row, int64_t inner, int64_t outer) {
  if (packed.paired && !part.transposed && size_of(part.dtype) > 1) fill_pairs(kernels, packed, part, first_row, inner, outer);
  else fill_panels(packed, part, first_row, inner, outer);
}

// Only the last panel can have columns that no row fills; every panel has half a pair to fill up where pairs are and the depth is odd.
void allocate_panels(PackedWeight& packed) {
  const bool rests = packed.paired && packed.depth % 2;
  packed.allocate(packed.element(packed.panels(), 0), rests ? 0 : packed.element(std::max<int64_t>(0, packed.panels() - 1), 0));
}

// bf16 that was asked for is multiplied as such where the machine can; a file's own is no wish to round what it meets.
bool is_paired(const Kernels& kernels, Storage wanted) { return kernels.pairs && wanted == Storage::bf16; }

}  // namespace

std::unique_ptr<PackedWeight> pack_linear(const Kernels& kernels, const ops::PackLinear& weight) {
  auto packed = std::make_unique<PackedWeight>();
  packed->storage = stored_as(weight.parts, weight.storage);
  packed->paired = is_paired(kernels, weight.storage);
  packed->depth = weight.parts[0].columns;
  for (const WeightRows& part : weight.parts) {
    require(part.columns == packed->depth, "parts of a weight differ in width");
    packed->out += part.rows;
  }
  packed->panel = kernels.panel;
  packed->geglu = weight.geglu;
  require(!weight.geglu || packed->out % 2 == 0, "a GEGLU weight has an odd number of rows");
  allocate_panels(*packed);
  int64_t row = 0;
  for (const WeightRows& part : weight.parts) {
    fill(kernels, *packed, part, row, part.columns, 1);
    row += part.rows;
  }
  return packed;
}

std::unique_ptr<PackedWeight> pack_conv2d(const Kernels& kernels, const ops::PackConv2d& weight) {
  auto packed = std::make_unique<PackedWeight>();
  packed->storage = stored_as(weight.weight.dtype, weight.storage);
  packed->paired = is_paired(kernels, weight.storage) && weight.in % 2 == 0;  // no pair begins in one pixel and ends in the next
  packed->out = weight.weight.rows;
  packed->depth = weight.weight.columns;
  packed->height = weight.height;
  packed->width = weight.width;
  packed->panel = kernels.panel;
  require(packed->depth == weight.in * weight.height * weight.width, "a convolution's weight does not have in · height · width columns");
  allocate_panels(*packed);
  fill(kernels, *packed, weight.weight, 0, weight.in, weight.height * weight.width);
  return packed;
}

std::unique_ptr<PackedWeight> pack_rows(const WeightRows& weight, Storage storage) {
  auto packed = std::make_unique<PackedWeight>();
  packed->storage = stored_as(weight.dtype, storage);
  packed->out = weight.rows;
  packed->depth = weight.columns;
  packed->panel = 1;
  packed->allocate(packed->out * packed->depth, packed->out * packed->depth);
  fill_panels(*packed, weight, 0, weight.columns, 1);
  return packed;
}

std::unique_ptr<PackedWeight> changed(const Kernels& kernels, const PackedWeight& weight, const std::function<void(float* values)>& change) {
  const int64_t taps = std::max<int64_t>(1, weight.height * weight.width), inner = weight.depth / taps;
  std::vector<float> values(size_t(weight.out * weight.depth));
  for (int64_t output = 0; output < weight.out; ++output) {
    const auto [panel, column] = place_of(weight, output);
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t c = 0; c < inner; ++c)
        values[size_t((output * inner + c) * taps + tap)] =
            value_at(static_cast<const std::byte*>(weight.at(0)), weight.storage, weight.element(panel, tap * inner + c) + column * weight.column_stride());
  }
  change(values.data());

  auto packed = std::make_unique<PackedWeight>();
  packed->out = weight.out, packed->depth = weight.depth;
  packed->height = weight.height, packed->width = weight.width;
  packed->panel = weight.panel, packed->geglu = weight.geglu, packed->storage = weight.storage;
  packed->paired = weight.paired;
  allocate_panels(*packed);
  const WeightRows rows{reinterpret_cast<const std::byte*>(values.data()), DType::f32, weight.out, weight.depth};
  fill(kernels, *packed, rows, 0, inner, taps);
  return packed;
}

const float* widened(const Kernels& kernels, const PackedWeight& weight, int64_t element, int64_t count, float* scratch) {
  if (weight.storage == DType::f32) return static_cast<const float*>(weight.at(element));
  const auto* from = static_cast<const uint16_t*>(weight.at(element));
  (weight.storage == DType::f16 ? kernels.widen_f16 : kernels.widen_bf16)(from, count, scratch);
  return scratch;
}

}  // namespace sdxl::cpu
