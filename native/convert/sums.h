// SHA256SUMS: the list by which a folder is known, in the format of the command sha256sum.
#pragma once

#include <map>
#include <string>

namespace sdxl::convert {

inline constexpr const char* kSums = "SHA256SUMS";

using Sums = std::map<std::string, std::string>;  // name inside the folder → SHA-256

// "<sha256>  <name>\n", by name.
std::string sums_text(const Sums& sums);
// The list in a folder. Empty when there is none, or it is not in this format.
Sums read_sums(const std::string& folder);
std::string sha256_of(const std::string& text);

}  // namespace sdxl::convert
