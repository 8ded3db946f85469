// JSON (RFC 8259) as model files carry it: headers, shard indexes, configurations. Strict: what the standard leaves open is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sdxl::json {

class Value;
struct Member;
using Array = std::vector<Value>;
using Object = std::vector<Member>;  // in the text's order, names unique

class Value {
 public:
  // int64_t: a number written without fraction and exponent, within its range; double: any other number.
  using Variant = std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object>;

  Value() = default;
  Value(Variant value) : value_(std::move(value)) {}

  // Null or nothing when the value is of another type.
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const Array* array() const { return std::get_if<Array>(&value_); }
  const Object* object() const { return std::get_if<Object>(&value_); }
  Object* object() { return std::get_if<Object>(&value_); }
  std::optional<bool> boolean() const { return get<bool>(); }
  std::optional<int64_t> integer() const { return get<int64_t>(); }
  std::optional<double> number() const {
    if (const auto whole = integer()) return double(*whole);
    return get<double>();
  }
  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }

  // The member of that name; null when there is none or this is no object. Takes time in proportion to the object's size.
  const Value* find(std::string_view name) const;

 private:
  template <class T>
  std::optional<T> get() const {
    const T* value = std::get_if<T>(&value_);
    return value ? std::optional<T>(*value) : std::nullopt;
  }
  Variant value_;
};

struct Member {
  std::string name;
  Value value;
};

// Bounds on what a hostile text can cost: stack (depth) and memory (values, 40 bytes each besides their strings).
struct Limits {
  int depth = 64;
  int64_t values = 10'000'000;
};

// Throws Error(model_format) that names the byte and what is wrong there; details.offset is that byte.
// Errors besides bad syntax: invalid UTF-8, a lone surrogate, a name twice in one object, a number beyond double, a limit exceeded.
Value parse(std::string_view text, const Limits& limits = {});

// Text from a file, fit for an error message: control characters escaped, cut to about `longest` bytes.
std::string printable(std::string_view text, size_t longest = 160);

}  // namespace sdxl::json
