// Taking tensor names apart.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace sdxl::weights {

// Removes `prefix` from the front; false when it is not there.
inline bool consume(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

// Removes "12." from the front; −1 and nothing removed when there is no such number. Numbers above 999 are none: no model has them, and
// what they index would be as large as a hostile file likes.
inline int consume_index(std::string_view& name) {
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot > 3 || (dot > 1 && name[0] == '0')) return -1;
  int index = 0;
  for (const char c : name.substr(0, dot)) {
    if (c < '0' || c > '9') return -1;
    index = index * 10 + (c - '0');
  }
  name.remove_prefix(dot + 1);
  return index;
}

using Renaming = std::pair<std::string_view, std::string_view>;  // from one prefix to another

// The name with the first prefix of `table` that fits replaced; unchanged when none does.
inline std::string renamed(std::string_view name, std::span<const Renaming> table) {
  for (const auto& [from, to] : table)
    if (consume(name, from)) return std::string(to) + std::string(name);
  return std::string(name);
}
// The table read from right to left.
inline std::string renamed_back(std::string_view name, std::span<const Renaming> table) {
  for (const auto& [from, to] : table)
    if (consume(name, to)) return std::string(from) + std::string(name);
  return std::string(name);
}

}  // namespace sdxl::weights
