#include "core/json.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "core/error.h"

namespace sdxl::json {

namespace {

// Length of the UTF-8 sequence at the start of `text`, 0 if it is none (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF).
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : uint8_t(0); };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const uint8_t first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += char(code);
  } else if (code < 0x800) {
    out += char(0xC0 | code >> 6);
    out += char(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += char(0xE0 | code >> 12);
    out += char(0x80 | (code >> 6 & 63));
    out += char(0x80 | (code & 63));
  } else {
    out += char(0xF0 | code >> 18);
    out += char(0x80 | (code >> 12 & 63));
    out += char(0x80 | (code >> 6 & 63));
    out += char(0x80 | (code & 63));
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  Parser(std::string_view text, const Limits& limits) : text_(text), limits_(limits) {}

  Value document() {
    skip_space();
    Value result = value(0);
    skip_space();
    if (at_ < text_.size()) fail("text behind the end of the value");
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what, size_t offset) const {
    throw Error(Code::model_format, "invalid JSON at byte " + std::to_string(offset) + ": " + what, {{"offset", int64_t(offset)}});
  }
  [[noreturn]] void fail(const std::string& what) const { fail(at_ < text_.size() ? what : what + ", but the text ends", at_); }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool consume(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
  }

  Value value(int depth) {
    if (depth > limits_.depth) fail("nested more than " + std::to_string(limits_.depth) + " deep");
    if (++values_ > limits_.values) fail("more than " + std::to_string(limits_.values) + " values");
    switch (peek()) {
      case '{': return Value(object(depth));
      case '[': return Value(array(depth));
      case '"': return Value(string());
      case 't': return word("true", Value(true));
      case 'f': return word("false", Value(false));
      case 'n': return word("null", Value(nullptr));
      default: return number();
    }
  }

  Value word(std::string_view word, Value result) {
    if (text_.substr(at_, word.size()) != word) fail("expected a value");
    at_ += word.size();
    return result;
  }

  Object object(int depth) {
    Object members;
    std::vector<size_t> offsets;  // of the names
    ++at_;
    skip_space();
    if (consume('}')) return members;
    do {
      skip_space();
      if (peek() != '"') fail("expected a name in quotes");
      offsets.push_back(at_);
      std::string name = string();
      skip_space();
      if (!consume(':')) fail("expected ':'");
      skip_space();
      Value member = value(depth + 1);
      members.push_back({std::move(name), std::move(member)});
      skip_space();
    } while (consume(','));
    if (!consume('}')) fail("expected ',' or '}'");

    std::vector<size_t> order(members.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return members[a].name < members[b].name; });
    for (size_t i = 1; i < order.size(); ++i)
      if (members[order[i]].name == members[order[i - 1]].name)
        fail("the name \"" + printable(members[order[i]].name) + "\" appears twice in one object", offsets[order[i]]);
    return members;
  }

  Array array(int depth) {
    Array items;
    ++at_;
    skip_space();
    if (consume(']')) return items;
    do {
      skip_space();
      items.push_back(value(depth + 1));
      skip_space();
    } while (consume(','));
    if (!consume(']')) fail("expected ',' or ']'");
    return items;
  }

  std::string string() {
    std::string out;
    ++at_;
    for (;;) {
      const size_t start = at_;
      while (at_ < text_.size() && uint8_t(text_[at_]) >= 0x20 && uint8_t(text_[at_]) < 0x80 && text_[at_] != '"' && text_[at_] != '\\') ++at_;
      out.append(text_, start, at_ - start);
      if (at_ == text_.size()) fail("expected the closing '\"' of a string");
      if (consume('"')) return out;
      if (text_[at_] == '\\') {
        append_utf8(out, escape());
      } else if (const size_t length = uint8_t(text_[at_]) < 0x20 ? 0 : utf8_length(text_.substr(at_)); length > 0) {
        out.append(text_, at_, length);
        at_ += length;
      } else {
        fail(uint8_t(text_[at_]) < 0x20 ? "a control character in a string" : "invalid UTF-8");
      }
    }
  }

  uint32_t escape() {
    const size_t start = at_++;
    const char kind = peek();
    if (at_ < text_.size()) ++at_;
    switch (kind) {
      case '"':
      case '\\':
      case '/': return uint32_t(kind);
      case 'b': return '\b';
      case 'f': return '\f';
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'u': break;
      default: fail("unknown escape sequence", start);
    }
    const uint32_t first = four_hex_digits();
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first < 0xDC00 && consume('\\') && consume('u'))
      if (const uint32_t second = four_hex_digits(); second >= 0xDC00 && second <= 0xDFFF) return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    fail("half of a surrogate pair", start);
  }

  uint32_t four_hex_digits() {
    const std::string_view digits = text_.substr(at_, 4);
    uint32_t code = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (error != std::errc() || digits.size() < 4 || end != digits.data() + 4) fail("expected four hexadecimal digits");
    at_ += 4;
    return code;
  }

  Value number() {
    const size_t start = at_;
    consume('-');
    if (!is_digit(peek())) {
      at_ = start;
      fail("expected a value");
    }
    if (!consume('0')) skip_digits();
    bool whole = true;
    if (consume('.')) {
      whole = false;
      if (!is_digit(peek())) fail("expected a digit");
      skip_digits();
    }
    if (consume('e') || consume('E')) {
      whole = false;
      if (!consume('+')) consume('-');
      if (!is_digit(peek())) fail("expected a digit");
      skip_digits();
    }
    const char *begin = text_.data() + start, *end = text_.data() + at_;
    if (int64_t integer; whole && std::from_chars(begin, end, integer).ec == std::errc()) return Value(integer);
    double real;
    if (std::from_chars(begin, end, real).ec != std::errc()) fail("a number beyond the range of a double", start);
    return Value(real);
  }

  void skip_digits() {
    while (is_digit(peek())) ++at_;
  }

  std::string_view text_;
  Limits limits_;
  size_t at_ = 0;
  int64_t values_ = 0;
};

}  // namespace

const Value* Value::find(std::string_view name) const {
  const Object* members = object();
  if (!members) return nullptr;
  const auto member = std::find_if(members->begin(), members->end(), [&](const Member& m) { return m.name == name; });
  return member == members->end() ? nullptr : &member->value;
}

Value parse(std::string_view text, const Limits& limits) { return Parser(text, limits).document(); }

std::string printable(std::string_view text, size_t longest) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    if (out.size() >= longest) return out + "…";
    const size_t length = utf8_length(text);
    if (const uint8_t byte = uint8_t(text[0]); length == 0 || byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out.append(text, 0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

}  // namespace sdxl::json
