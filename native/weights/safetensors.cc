#include "weights/safetensors.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "weights/file_kind.h"
#include "weights/problems.h"

namespace sdxl::weights {

namespace {

constexpr uint64_t kLengthBytes = 8, kMaxHeader = 100'000'000;  // the limit of the format's own library

struct Format {
  std::string_view name;
  int bits;
  std::optional<DType> type;
};
constexpr Format kFormats[] = {
    {"F32", 32, DType::f32},
    {"F16", 16, DType::f16},
    {"BF16", 16, DType::bf16},
    {"F8_E4M3", 8, DType::f8_e4m3},
    {"F8_E5M2", 8, DType::f8_e5m2},
    {"F64", 64, DType::f64},
    {"I64", 64, DType::i64},
    {"I32", 32, DType::i32},
    {"U8", 8, DType::u8},
    {"BOOL", 8, {}},
    {"I8", 8, {}},
    {"I16", 16, {}},
    {"U16", 16, {}},
    {"U32", 32, {}},
    {"U64", 64, {}},
    {"C64", 64, {}},
    {"F8_E8M0", 8, {}},
    {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"F4", 4, {}},
};

std::string in_quotes(std::string_view name) { return "\"" + json::printable(name) + "\""; }

// a · b for sizes that are not negative; nothing when it does not fit.
std::optional<int64_t> product(int64_t a, int64_t b) {
  if (b != 0 && a > INT64_MAX / b) return {};
  return a * b;
}

std::optional<std::vector<int64_t>> sizes(const json::Value* value) {
  const json::Array* items = value ? value->array() : nullptr;
  if (!items) return {};
  std::vector<int64_t> out;
  for (const json::Value& item : *items) {
    const auto size = item.integer();
    if (!size || *size < 0) return {};
    out.push_back(*size);
  }
  return out;
}

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  Safetensors read() {
    json::Value header = parse_header();
    for (json::Member& member : *header.object()) {
      if (member.name == "__metadata__") metadata(member.value);
      else entry(member);
    }
    check_cover();
    problems_.throw_if_any(path_, "not a valid safetensors file");
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(std::string text) {
    problems_.add(std::move(text));
    throw problems_.error(path_, "not a valid safetensors file");
  }

  json::Value parse_header() {
    uint64_t length = 0;
    for (size_t i = 0; i < std::min<size_t>(bytes_.size(), kLengthBytes); ++i) length |= uint64_t(bytes_[i]) << 8 * i;
    const bool starts_right = bytes_.size() > kLengthBytes && bytes_[kLengthBytes] == std::byte('{') && length <= kMaxHeader;
    if (!starts_right)
      if (const std::string kind = foreign_kind(bytes_, path_); !kind.empty()) throw Error(Code::model_format, path_ + " " + kind, {{"path", path_}});

    if (bytes_.size() < kLengthBytes) fail("it has " + std::to_string(bytes_.size()) + " bytes, fewer than the 8 of the header's length");
    if (length > kMaxHeader) fail("its first 8 bytes say that the header has " + std::to_string(length) + " bytes, at most 100 MB are allowed");
    if (length > bytes_.size() - kLengthBytes)
      fail("the header has " + std::to_string(length) + " bytes, but only " + std::to_string(bytes_.size() - kLengthBytes) +
           " follow; the file is cut short, download it again");
    if (length < 2) fail("the header has " + std::to_string(length) + " bytes, the shortest possible is \"{}\"");
    if (!starts_right) fail("the header must start with '{'");
    data_ = bytes_.subspan(kLengthBytes + length);
    try {
      return json::parse({reinterpret_cast<const char*>(bytes_.data()) + kLengthBytes, size_t(length)}, {.depth = 4});
    } catch (const Error& error) {
      fail("header: " + error.message);
    }
  }

  void metadata(json::Value& value) {
    json::Object* members = value.object();
    if (!members) return problems_.add("__metadata__ is no object");
    for (json::Member& member : *members) {
      if (const std::string* text = member.value.string()) result_.metadata.emplace(std::move(member.name), *text);
      else problems_.add("__metadata__." + json::printable(member.name) + " is no string");
    }
  }

  void entry(json::Member& member) {
    const auto bad = [&](const std::string& text) { problems_.add(in_quotes(member.name) + " " + text); };
    if (!member.value.object()) return bad("is no object with dtype, shape and data_offsets");

    const json::Value* dtype = member.value.find("dtype");
    const std::string* dtype_name = dtype ? dtype->string() : nullptr;
    if (!dtype_name) return bad("has no dtype");
    const auto format = std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& f) { return f.name == *dtype_name; });
    if (format == std::end(kFormats)) return bad("has the unknown dtype " + in_quotes(*dtype_name));

    auto shape = sizes(member.value.find("shape"));
    if (!shape) return bad("has no shape that is a list of sizes (integers from 0)");
    const auto offsets = sizes(member.value.find("data_offsets"));
    if (!offsets || offsets->size() != 2) return bad("has no data_offsets [begin, end]");
    const uint64_t begin = uint64_t((*offsets)[0]), end = uint64_t((*offsets)[1]);
    if (begin > end) return bad("has data_offsets that end before they begin: [" + std::to_string(begin) + ", " + std::to_string(end) + "]");

    std::optional<int64_t> bits = format->bits;
    // A size of 0 makes the tensor empty whatever the others are.
    if (std::find(shape->begin(), shape->end(), 0) != shape->end()) bits = 0;
    else
      for (const int64_t size : *shape) bits = bits ? product(*bits, size) : bits;
    if (!bits) return bad("has a shape too large for any memory");
    if (*bits % 8 != 0) return bad("ends within a byte");
    if (end - begin != uint64_t(*bits / 8))
      return bad("has " + std::to_string(end - begin) + " bytes of data, its shape and dtype need " + std::to_string(*bits / 8));

    if (end > data_.size()) {
      beyond_ = std::max(beyond_, end);
      return bad("ends at byte " + std::to_string(end) + " of the data, which has " + std::to_string(data_.size()));
    }
    result_.entries.push_back({std::move(member.name), format->name, format->type, std::move(*shape), data_.subspan(begin, end - begin)});
  }

  // The format wants every byte of the data to belong to exactly one tensor.
  void check_cover() {
    auto& entries = result_.entries;
    std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      return a.data.data() != b.data.data() ? a.data.data() < b.data.data() : a.data.size() < b.data.size();
    });
    if (beyond_ > 0) {
      Problems all;
      all.add("the file is cut short: its tensors need " + std::to_string(beyond_) + " bytes of data, it has " + std::to_string(data_.size()) +
              "; download it again");
      all.add(std::move(problems_));
      problems_ = std::move(all);
      return;
    }
    // Entries that failed a check have no place: holes would be their fault.
    if (!problems_.empty()) return;
    size_t covered = 0;
    const SafetensorsEntry* last = nullptr;
    for (const SafetensorsEntry& entry : entries) {
      const size_t begin = size_t(entry.data.data() - data_.data());
      if (begin < covered) problems_.add(in_quotes(entry.name) + " overlaps " + in_quotes(last->name));
      else if (begin > covered) problems_.add(uncovered(covered, begin) + ", before " + in_quotes(entry.name));
      if (const size_t end = begin + entry.data.size(); end > covered) {
        covered = end;
        last = &entry;
      }
    }
    if (covered < data_.size()) problems_.add(uncovered(covered, data_.size()) + ", behind the last one");
  }

  static std::string uncovered(size_t begin, size_t end) {
    return "bytes " + std::to_string(begin) + " to " + std::to_string(end) + " of the data belong to no tensor";
  }

  std::span<const std::byte> bytes_, data_;
  const std::string& path_;
  Safetensors result_;
  Problems problems_;
  uint64_t beyond_ = 0;  // furthest end of data behind the end of the file
};

}  // namespace

Safetensors parse_safetensors(std::span<const std::byte> bytes, const std::string& path) { return Reader(bytes, path).read(); }

Safetensors open_safetensors(const std::string& path) {
  auto file = std::make_shared<const MappedFile>(path);
  Safetensors result = parse_safetensors(file->bytes(), path);
  result.file = std::move(file);
  return result;
}

}  // namespace sdxl::weights
