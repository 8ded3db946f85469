// JSON texts out of values, for the files that go with a model.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "core/json.h"

namespace sdxl::json {

// A string in quotes. `text` is UTF-8.
std::string quoted(std::string_view text);

// Two blanks per level; arrays of plain values on one line.
std::string text(const Value& value);

// Puts the member in, in place of one of the same name.
void set(Object& object, std::string_view name, Value value);

Value array_of(std::initializer_list<std::string_view> texts);

}  // namespace sdxl::json
