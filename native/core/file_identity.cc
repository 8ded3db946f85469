#include "core/file_identity.h"

#include <cstdint>
#include <initializer_list>

#include "core/mapped_file.h"

#ifndef _WIN32
#include <sys/stat.h>

#include <cerrno>
#endif

namespace sdxl {

namespace {

std::string joined(const std::string& path, std::initializer_list<int64_t> numbers) {
  std::string text = path;
  for (const int64_t number : numbers) text += '\n' + std::to_string(number);
  return text;
}

}  // namespace

#ifdef _WIN32

std::string file_identity(const std::string& path, std::error_code& error) {
  const auto place = system_path(path);
  const auto size = std::filesystem::file_size(place, error);
  if (error) return "";
  const auto written = std::filesystem::last_write_time(place, error);
  return error ? "" : joined(path, {int64_t(size), int64_t(written.time_since_epoch().count())});
}

#else

std::string file_identity(const std::string& path, std::error_code& error) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) {
    error.assign(errno, std::system_category());
    return "";
  }
  error.clear();
#ifdef __APPLE__
  const timespec written = status.st_mtimespec, changed = status.st_ctimespec;
#else
  const timespec written = status.st_mtim, changed = status.st_ctim;
#endif
  return joined(path, {int64_t(status.st_dev), int64_t(status.st_ino), int64_t(status.st_size), int64_t(written.tv_sec), int64_t(written.tv_nsec),
                       int64_t(changed.tv_sec), int64_t(changed.tv_nsec)});
}

#endif

}  // namespace sdxl
