#include "convert/known_hash.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "core/file.h"
#include "core/mapped_file.h"
#include "core/sha256.h"

#ifdef __linux__
#include <sys/xattr.h>
#endif

namespace sdxl::convert {

namespace {

constexpr size_t kDigits = 64;
constexpr int64_t kPiece = 4 << 20;
[[maybe_unused]] constexpr const char* kAttribute = "user.node-sdxl.sha256";

// Size and time of change: another file, or the same one written to, has others.
[[maybe_unused]] std::string state_of(const std::string& path) {
  std::error_code error;
  const auto place = system_path(path);
  return std::to_string(std::filesystem::file_size(place, error)) + " " +
         std::to_string(std::filesystem::last_write_time(place, error).time_since_epoch().count());
}

}  // namespace

std::string known_hash([[maybe_unused]] const std::string& path) {
#ifdef __linux__
  char value[160];
  const ssize_t size = ::getxattr(path.c_str(), kAttribute, value, sizeof(value));
  const std::string text(value, size_t(std::max<ssize_t>(size, 0)));
  if (text.size() > kDigits && text.substr(kDigits) == " " + state_of(path)) return text.substr(0, kDigits);
#endif
  return "";
}

void remember_hash([[maybe_unused]] const std::string& path, [[maybe_unused]] const std::string& sha256) {
#ifdef __linux__
  const std::string value = sha256 + " " + state_of(path);
  (void)::setxattr(path.c_str(), kAttribute, value.data(), value.size(), 0);
#endif
}

std::string hash_of(const std::string& path, Job& job, const std::string& phase) {
  InputFile file(path);
  Sha256 sha;
  std::vector<std::byte> piece(kPiece);
  for (int64_t at = 0; at < file.size(); at += kPiece) {
    const std::span part(piece.data(), size_t(std::min(kPiece, file.size() - at)));
    file.read(at, part);
    sha.add(part);
    job.advance(phase, int64_t(part.size()));
  }
  return sha.hex();
}

}  // namespace sdxl::convert
