#include "convert/sums.h"

#include <fstream>

#include "core/mapped_file.h"
#include "core/sha256.h"

namespace sdxl::convert {

std::string sums_text(const Sums& sums) {
  std::string text;
  for (const auto& [name, sha256] : sums) text += sha256 + "  " + name + "\n";
  return text;
}

Sums read_sums(const std::string& folder) {
  constexpr size_t kDigits = 64;
  Sums sums;
  std::ifstream file(system_path(folder) / kSums, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    const bool fits = line.size() > kDigits + 2 && line.find_first_not_of("0123456789abcdef") == kDigits && line[kDigits] == ' ' &&
                      (line[kDigits + 1] == ' ' || line[kDigits + 1] == '*');
    if (!fits) return {};
    sums[line.substr(kDigits + 2)] = line.substr(0, kDigits);
  }
  return sums;
}

std::string sha256_of(const std::string& text) {
  Sha256 sha;
  sha.add(text);
  return sha.hex();
}

}  // namespace sdxl::convert
