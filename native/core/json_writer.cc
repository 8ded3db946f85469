#include "core/json_writer.h"

#include <algorithm>
#include <charconv>

namespace sdxl::json {

namespace {

bool is_plain(const Value& value) { return !value.array() && !value.object(); }

void append(std::string& out, const Value& value, const std::string& indent) {
  const std::string deeper = indent + "  ";
  if (const Object* members = value.object()) {
    const char* before = "{\n";
    for (const Member& member : *members) {
      out += before + deeper + quoted(member.name) + ": ";
      append(out, member.value, deeper);
      before = ",\n";
    }
    out += members->empty() ? "{}" : "\n" + indent + "}";
  } else if (const Array* items = value.array()) {
    const bool one_line = std::all_of(items->begin(), items->end(), is_plain);
    out += "[";
    for (size_t i = 0; i < items->size(); ++i) {
      out += i ? (one_line ? ", " : ",") : "";
      if (!one_line) out += "\n" + deeper;
      append(out, (*items)[i], deeper);
    }
    out += one_line ? "]" : "\n" + indent + "]";
  } else if (const std::string* text = value.string()) {
    out += quoted(*text);
  } else if (const auto truth = value.boolean()) {
    out += *truth ? "true" : "false";
  } else if (const auto whole = value.integer()) {
    out += std::to_string(*whole);
  } else if (const auto number = value.number()) {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof(digits), *number).ptr);
  } else {
    out += "null";
  }
}

}  // namespace

std::string quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (uint8_t(c) >= 0x20) out += c;
    else out += std::string("\\u00") + kHex[c >> 4] + kHex[c & 15];
  }
  return out + "\"";
}

std::string text(const Value& value) {
  std::string out;
  append(out, value, "");
  return out + "\n";
}

void set(Object& object, std::string_view name, Value value) {
  const auto found = std::find_if(object.begin(), object.end(), [&](const Member& m) { return m.name == name; });
  if (found == object.end()) object.push_back({std::string(name), std::move(value)});
  else found->value = std::move(value);
}

Value array_of(std::initializer_list<std::string_view> texts) {
  Array items;
  for (const std::string_view text : texts) items.emplace_back(std::string(text));
  return Value(std::move(items));
}

}  // namespace sdxl::json
