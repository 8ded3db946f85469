#include "convert/tokenizer_files.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json_writer.h"

namespace sdxl::convert {

namespace {

using json::Object;
using json::Value;

constexpr int kMerges = 48894;
constexpr const char *kStart = "<|startoftext|>", *kEnd = "<|endoftext|>";

std::string utf8(unsigned code) { return code < 0x80 ? std::string(1, char(code)) : std::string{char(0xC0 | code >> 6), char(0x80 | (code & 63))}; }

// CLIP writes bytes as characters: printable ones stand for themselves and come first, the others follow as U+0100, U+0101, …
std::vector<std::string> byte_symbols() {
  const auto printable = [](unsigned byte) { return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD); };
  std::vector<std::string> symbols;
  for (unsigned byte = 0; byte < 256; ++byte)
    if (printable(byte)) symbols.push_back(utf8(byte));
  for (unsigned code = 0x100; symbols.size() < 256; ++code) symbols.push_back(utf8(code));
  return symbols;
}

std::string vocabulary(std::string_view merges) {
  std::string text = "{";
  int id = 0;
  const auto add = [&](const std::string& token) { text += (id ? ", " : "") + json::quoted(token) + ": " + std::to_string(id), ++id; };
  const std::vector<std::string> symbols = byte_symbols();
  for (const std::string& symbol : symbols) add(symbol);
  for (const std::string& symbol : symbols) add(symbol + "</w>");
  for (size_t at = 0; at < merges.size();) {
    const size_t space = merges.find(' ', at), end = std::min(merges.find('\n', at), merges.size());
    if (space >= end || merges[end - 1] == '\r') break;
    add(std::string(merges.substr(at, space - at)) + std::string(merges.substr(space + 1, end - space - 1)));
    at = end + 1;
  }
  if (id != 512 + kMerges) throw Error(Code::internal, "the merges of CLIP's tokenizer, a file of node-sdxl itself, are damaged; reinstall the package");
  add(kStart), add(kEnd);
  return text + "}\n";
}

Value special(const char* token, bool with_type) {
  Object fields;
  if (with_type) fields.push_back({"__type", Value("AddedToken")});
  fields.push_back({"content", Value(token)});
  for (const char* name : {"lstrip", "normalized", "rstrip", "single_word"}) fields.push_back({name, Value(std::string_view(name) == "normalized")});
  return Value(std::move(fields));
}

}  // namespace

std::map<std::string, std::string> tokenizer_files(const std::string& merges, const std::string& padding) {
  const Value special_tokens(Object{
      {"bos_token", special(kStart, false)},
      {"eos_token", special(kEnd, false)},
      {"pad_token", Value(padding)},
      {"unk_token", special(kEnd, false)},
  });
  const Value config(Object{
      {"add_prefix_space", Value(false)},
      {"bos_token", special(kStart, true)},
      {"clean_up_tokenization_spaces", Value(true)},
      {"do_lower_case", Value(true)},
      {"eos_token", special(kEnd, true)},
      {"errors", Value("replace")},
      {"model_max_length", Value(77)},
      {"pad_token", Value(padding)},
      {"tokenizer_class", Value("CLIPTokenizer")},
      {"unk_token", special(kEnd, true)},
  });
  return {
      {"vocab.json", vocabulary(merges)},
      {"merges.txt", "#version: 0.2\n" + merges},
      {"special_tokens_map.json", json::text(special_tokens)},
      {"tokenizer_config.json", json::text(config)},
  };
}

}  // namespace sdxl::convert
