#include "weights/safetensors.h"

#include <random>

#include "test/check.h"
#include "weights/test_files.h"

namespace sdxl::weights {
namespace {

using namespace test;

// Parses a copy of exactly this size, so that a sanitizer sees every read behind its end.
Safetensors parse(const std::string& bytes) {
  static std::vector<std::vector<char>> kept;
  kept.emplace_back(bytes.begin(), bytes.end());
  return parse_safetensors(std::as_bytes(std::span<const char>(kept.back())), "some/model.safetensors");
}

std::vector<std::string> problems_in(const Error& error) {
  for (const auto& [key, value] : error.details)
    if (const auto* list = std::get_if<std::vector<std::string>>(&value); list && key == "problems") return *list;
  return {};
}

// Refused with exactly these problems, in this order, each given by a part of its text.
void check_refused(const std::string& bytes, const std::vector<std::string>& wanted) {
  const Error error = ERROR_OF(parse(bytes));
  const auto problems = problems_in(error);
  bool right = error.code == Code::model_format && error.message.starts_with("some/model.safetensors: not a valid safetensors file: ") &&
               problems.size() == wanted.size();
  for (size_t i = 0; right && i < wanted.size(); ++i) right = problems[i].find(wanted[i]) != std::string::npos;
  std::string got = error.message;
  for (const std::string& problem : problems) got += "\n    " + problem;
  sdxl::test::check(right, __FILE__, __LINE__, "wanted " + (wanted.empty() ? "nothing" : wanted[0]) + ", got " + got);
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

TEST("safetensors: tensors, metadata, order") {
  const TempFolder folder;
  const std::string path = folder.write("m.safetensors", with_header("{\"__metadata__\":{\"format\":\"pt\",\"k\":\"é\"}," +
                                                                         entry("b", "F16", "[2,1]", "[4,8]") + "," + entry("a", "F32", "[]", "[0,4]") + "}  ",
                                                                     "abcdefgh"));
  const Safetensors file = open_safetensors(path);
  CHECK(file.file->path() == path);
  CHECK((file.metadata == std::map<std::string, std::string>{{"format", "pt"}, {"k", "é"}}));
  CHECK(file.entries.size() == 2);
  CHECK(file.entries[0].name == "a" && file.entries[0].shape.empty() && file.entries[0].type == DType::f32 && file.entries[0].dtype == "F32");
  CHECK((file.entries[1].shape == std::vector<int64_t>{2, 1}));
  CHECK(file.entries[1].name == "b" && std::memcmp(file.entries[1].data.data(), "efgh", 4) == 0);
}

TEST("safetensors: every dtype of the format") {
  const std::pair<const char*, size_t> types[] = {{"BOOL", 4},        {"U8", 4},      {"I8", 4},      {"I16", 8},     {"U16", 8},     {"F16", 8},
                                                  {"BF16", 8},        {"I32", 16},    {"U32", 16},    {"F32", 16},    {"F64", 32},    {"I64", 32},
                                                  {"U64", 32},        {"C64", 32},    {"F8_E5M2", 4}, {"F8_E4M3", 4}, {"F8_E8M0", 4}, {"F8_E4M3FNUZ", 4},
                                                  {"F8_E5M2FNUZ", 4}, {"F6_E2M3", 3}, {"F6_E3M2", 3}, {"F4", 2}};
  for (const auto& [name, bytes] : types) {
    const Safetensors file = parse(safetensors_bytes({{"t", {4}, std::string(bytes, 'x'), name}}));
    CHECK(file.entries[0].dtype == name);
    CHECK(!file.entries[0].type || name_of(*file.entries[0].type) == std::string(name));
  }
  check_refused(safetensors_bytes({{"t", {3}, "xx", "F4"}}), {"\"t\" ends within a byte"});
  check_refused(safetensors_bytes({{"t", {1}, "xx", "F17"}}), {"\"t\" has the unknown dtype \"F17\""});
}

TEST("safetensors: empty tensors and no tensors") {
  CHECK(parse(with_header("{}")).entries.empty());
  CHECK(parse(with_header("{\"__metadata__\":{}}")).entries.empty());
  const Safetensors file = parse(safetensors_bytes({{"v_pred", {0}, ""}, {"a", {1}, "ab"}, {"ztsnr", {3, 0}, ""}}));
  CHECK(file.entries.size() == 3);
  // However large the other dimensions are.
  CHECK(parse(with_header("{" + entry("a", "F16", "[9223372036854775807,9223372036854775807,0]", "[0,0]") + "}")).entries.size() == 1);
}

TEST("safetensors: a header whose length looks like a pickle") {
  const std::string header = "{\"__metadata__\":{\"k\":\"" + std::string(0x280 - 25, 'x') + "\"}}";
  CHECK(header.size() == 0x280);
  CHECK(parse(with_header(header)).entries.empty());
}

TEST("safetensors: cut at every byte") {
  const std::string whole = safetensors_bytes({{"a", {2}, "abcd"}, {"b", {1, 1}, "efgh", "F32"}}, {{"k", "v"}});
  CHECK(parse(whole).entries.size() == 2);
  for (size_t n = 0; n < whole.size(); ++n) {
    const Error error = ERROR_OF(parse(whole.substr(0, n)));
    CHECK(error.code == Code::model_format && error.message.starts_with("some/model.safetensors: not a valid safetensors file"));
  }
  check_refused(whole.substr(0, whole.size() - 5),
                {"the file is cut short: its tensors need 8 bytes of data, it has 3", "\"a\" ends at byte 4", "\"b\" ends at byte 8"});
  check_refused(whole.substr(0, 20), {"only 12 follow; the file is cut short"});
}

TEST("safetensors: bad headers") {
  check_refused("", {"has 0 bytes"});
  check_refused("1234567", {"has 7 bytes"});
  check_refused(length_bytes(0), {"the header has 0 bytes"});
  check_refused(length_bytes(1) + "{", {"the header has 1 bytes"});
  check_refused(length_bytes(~uint64_t(0)) + "{}", {"at most 100 MB"});
  check_refused(length_bytes(uint64_t(1) << 63) + "{}", {"at most 100 MB"});
  check_refused(length_bytes(100'000'001) + "{}", {"at most 100 MB"});
  check_refused(length_bytes(3) + "{}", {"only 2 follow"});
  check_refused(with_header(" {}"), {"must start with '{'"});
  check_refused(with_header("[]"), {"must start with '{'"});
  check_refused(with_header("{\"a\":}"), {"header: invalid JSON at byte 5"});
  check_refused(with_header("{}{}"), {"header: invalid JSON at byte 2"});
  check_refused(with_header("{\"a\":" + std::string(1'000'000, '[')), {"nested more than 4 deep"});
  check_refused(with_header("{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("a", "U8", "[1]", "[0,1]") + "}", "x"), {"\"a\" appears twice"});
  check_refused(with_header("{\"__metadata__\":[]}"), {"__metadata__ is no object"});
  check_refused(with_header("{\"__metadata__\":{\"a\":1,\"b\":\"x\",\"c\":null}}"), {"__metadata__.a is no string", "__metadata__.c is no string"});
}

TEST("safetensors: bad entries, all of them at once") {
  std::string header = "{\"a\":1,\"b\":{},\"c\":{\"dtype\":3},";
  const std::pair<const char*, const char*> shapes[] = {{"d", "7"},    {"e", "[-1]"}, {"f", "[1.5]"}, {"g", "[\"1\"]"}, {"h", "[9223372036854775808]"},
                                                        {"i", "[[1]]"}};
  for (const auto& [name, shape] : shapes) header += entry(name, "U8", shape, "[0,1]") + ",";
  const std::pair<const char*, const char*> offsets[] = {{"j", "[0]"}, {"k", "[0,1,2]"}, {"l", "[-1,0]"}, {"m", "{}"}, {"n", "[1,0]"}};
  for (const auto& [name, range] : offsets) header += entry(name, "U8", "[1]", range) + ",";
  header += entry("o", "F32", "[4611686018427387904,4]", "[0,1]") + "," + entry("p", "F16", "[1]", "[0,1]") + "," + entry("q", "U8", "[1]", "[1,2]") + "," +
            entry("r", "U8", "[1]", "[0,1]") + "}";
  check_refused(with_header(header, "x"), {"the file is cut short: its tensors need 2 bytes of data, it has 1", "\"a\" is no object", "\"b\" has no dtype",
                                           "\"c\" has no dtype", "\"d\" has no shape", "\"e\" has no shape", "\"f\" has no shape", "\"g\" has no shape",
                                           "\"h\" has no shape", "\"i\" has no shape", "\"j\" has no data_offsets", "\"k\" has no data_offsets",
                                           "\"l\" has no data_offsets", "\"m\" has no data_offsets", "\"n\" has data_offsets that end before",
                                           "\"o\" has a shape too large", "\"p\" has 1 bytes of data, its shape and dtype need 2", "\"q\" ends at byte 2"});
  const Error error = ERROR_OF(parse(with_header(header, "x")));
  CHECK(error.message.ends_with("(and 15 more problems)") && error.message.size() < 400);
}

TEST("safetensors: overlaps and holes") {
  const auto file = [](const std::string& a, const std::string& b, size_t data) {
    return with_header("{" + entry("a", "U8", "[2]", a) + "," + entry("b", "U8", "[2]", b) + "}", std::string(data, 'x'));
  };
  CHECK(parse(file("[2,4]", "[0,2]", 4)).entries[0].name == "b");
  check_refused(file("[0,2]", "[1,3]", 3), {"\"b\" overlaps \"a\""});
  check_refused(file("[0,2]", "[0,2]", 2), {"\"b\" overlaps \"a\""});
  check_refused(file("[0,2]", "[3,5]", 5), {"bytes 2 to 3 of the data belong to no tensor, before \"b\""});
  check_refused(file("[1,3]", "[3,5]", 6),
                {"bytes 0 to 1 of the data belong to no tensor, before \"a\"", "bytes 5 to 6 of the data belong to no tensor, behind the last one"});
  check_refused(with_header("{}", "x"), {"bytes 0 to 1"});
}

TEST("safetensors: a long list of problems is cut") {
  std::string header = "{\"x\\n\":1";
  for (int i = 0; i < 200; ++i) header += ",\"" + std::to_string(i) + std::string(10'000, 'y') + "\":1";
  const Error error = ERROR_OF(parse(with_header(header + "}")));
  const auto problems = problems_in(error);
  CHECK(problems.size() == 51);
  CHECK(problems[0] == "\"x\\x0a\" is no object with dtype, shape and data_offsets" && problems.back() == "and 151 more");
  CHECK(error.message.size() < 1000);
}

TEST("safetensors: other kinds of files") {
  const TempFolder folder;
  const auto check_kind = [&](const std::string& name, const std::string& bytes, const char* kind, const char* advice) {
    const std::string path = folder.write(name, bytes);
    const Error error = ERROR_OF(open_safetensors(path));
    const bool right = error.code == Code::model_format && error.message.starts_with(path + " ") && error.message.find(kind) != std::string::npos &&
                       error.message.find(advice) != std::string::npos;
    sdxl::test::check(right, __FILE__, __LINE__, error.message);
  };
  check_kind("a.safetensors", "\x80\x02}q\x01X\x05 more", "pickled PyTorch", "convert it to safetensors");
  check_kind("b.safetensors", std::string("PK\3\4\0\0\0\0\0\0", 10), "PyTorch (zip)", "convert it to safetensors");
  for (const char* name : {"c.ckpt", "c.pt", "c.PTH", "c.bin"})
    check_kind(name, "anything else", "named like a PyTorch checkpoint", "convert it to safetensors");
  check_kind("d.gguf", std::string("GGUF\3\0\0\0\0\0", 10), "GGUF", "safetensors version");
  check_kind("e.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git-lfs pointer", "git lfs pull");
  check_kind("f.safetensors", "\n <!DOCTYPE html><html>", "web page", "download it again");
  check_kind("g.safetensors", "<?xml version='1.0'?><Error/>", "web page", "download it again");
  CHECK(open_safetensors(folder.write("right.bin", safetensors_bytes({{"a", {1}, "ab"}}))).entries.size() == 1);
  CHECK(ERROR_OF(open_safetensors(folder / "absent.safetensors")).code == Code::model_not_found);
  CHECK(ERROR_OF(open_safetensors(folder.write("empty.safetensors", ""))).code == Code::model_format);
}

TEST("safetensors: mutated headers are parsed or refused, and what is parsed can be read") {
  const std::string good =
      safetensors_bytes({{"a.weight", {2, 3}, "abcdefghijkl"}, {"b", {}, "mnop", "F32"}, {"empty", {0}, ""}, {"c", {3}, "qrs", "F8_E4M3"}}, {{"format", "pt"}});
  constexpr size_t kData = 19;
  const std::string alphabet = "{}[]\":,.0123456789-eE\\u tFn\x80\xff";
  std::mt19937 random(7);
  const auto below = [&](size_t n) { return size_t(random() % n); };
  int parsed = 0, refused = 0;
  unsigned sum = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string bytes = good;
    for (size_t edits = 1 + below(3); edits > 0; --edits) {
      const size_t header = bytes.size() - kData, at = below(header);
      switch (below(5)) {
        case 0: bytes[at] = char(random()); break;
        case 1: bytes[at] = alphabet[below(alphabet.size())]; break;
        case 2: bytes[at] = char(bytes[at] ^ 1 << below(8)); break;
        case 3: bytes.erase(std::max<size_t>(at, 8), 1); break;
        default: bytes.insert(std::max<size_t>(at, 8), 1, alphabet[below(alphabet.size())]);
      }
    }
    // Half of the time a right length, so that the JSON is reached.
    if (below(2)) bytes.replace(0, 8, length_bytes(bytes.size() - 8 - kData));
    const std::vector<char> exact(bytes.begin(), bytes.end());
    try {
      const Safetensors file = parse_safetensors(std::as_bytes(std::span(exact)), "some/model.safetensors");
      for (const SafetensorsEntry& e : file.entries)
        for (const std::byte byte : e.data) sum += unsigned(byte);
      ++parsed;
    } catch (const Error& error) {
      if (error.code != Code::model_format || !error.message.starts_with("some/model.safetensors")) sdxl::test::check(false, __FILE__, __LINE__, error.message);
      ++refused;
    }
  }
  CHECK(parsed > 1000 && refused > 1000 && sum > 0);
}

}  // namespace
}  // namespace sdxl::weights
