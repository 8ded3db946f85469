#include "convert/target.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <random>

#include "core/file.h"
#include "core/mapped_file.h"

#ifdef __linux__
#include <fcntl.h>
#include <stdio.h>
#endif

namespace sdxl::convert {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes kAbandoned{10};

fs::file_time_type last_write(const fs::path& path) {
  std::error_code ignored;
  fs::file_time_type latest = fs::last_write_time(path, ignored);
  for (fs::recursive_directory_iterator at(path, ignored), end; !ignored && at != end; at.increment(ignored)) {
    std::error_code gone;
    if (const auto time = at->last_write_time(gone); !gone) latest = std::max(latest, time);
  }
  return latest;
}

void remove_abandoned(const fs::path& parent, const std::string& start) {
  std::error_code ignored;
  for (fs::directory_iterator at(parent, ignored), end; !ignored && at != end; at.increment(ignored)) {
    const std::string name = utf8_path(at->path().filename());
    if (!name.starts_with(start) || !name.ends_with(kPartial)) continue;
    // A conversion under way writes all the time.
    std::error_code kept;
    if (last_write(at->path()) < fs::file_time_type::clock::now() - kAbandoned) fs::remove_all(at->path(), kept);
  }
}

std::string random_digits() {
  std::random_device device;
  std::string digits;
  for (int i = 0; i < 16; ++i) digits += "0123456789abcdef"[device() & 15];
  return digits;
}

enum class Rename { fresh, exchange };

// ENOTSUP where the system or the file system has no such thing.
int special_rename([[maybe_unused]] const std::string& from, [[maybe_unused]] const std::string& to, [[maybe_unused]] Rename how) {
#ifdef __linux__
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), how == Rename::fresh ? RENAME_NOREPLACE : RENAME_EXCHANGE) == 0) return 0;
  return errno == EINVAL || errno == ENOSYS ? ENOTSUP : errno;
#else
  return ENOTSUP;
#endif
}

void rename_or_throw(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::rename(system_path(from), system_path(to), error);
  if (error) throw write_error(to, error.value());
}

}  // namespace

bool is_occupied(const std::string& path, bool folder) {
  std::error_code ignored;
  const fs::path place = system_path(path);
  return fs::exists(fs::symlink_status(place, ignored)) && !(folder && fs::is_directory(place, ignored) && fs::is_empty(place, ignored));
}

Target::Target(std::string path, bool folder) : path_(std::move(path)), folder_(folder) {
  const fs::path place = system_path(path_), parent = place.parent_path();
  parent_ = utf8_path(parent);
  std::error_code ignored;
  if (!fs::is_directory(parent, ignored))
    throw Error(Code::invalid_argument,
                "cannot write " + path_ + ": the folder " + parent_ + (fs::exists(parent, ignored) ? " is a file" : " does not exist; create it first"),
                {{"path", path_}, {"folder", parent_}});
  const std::string start = "." + utf8_path(place.filename()) + ".";
  remove_abandoned(parent, start);
  temporary_ = utf8_path(parent / system_path(start + random_digits() + kPartial));
  if (!folder_) return;
  std::error_code error;
  if (!fs::create_directory(system_path(temporary_), error)) throw write_error(temporary_, error.value());
}

Target::~Target() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(system_path(temporary_), ignored);
}

void Target::require_space(int64_t bytes) const {
  std::error_code error;
  const fs::space_info space = fs::space(system_path(parent_), error);
  if (error || space.available >= uint64_t(bytes)) return;
  const int64_t free = int64_t(space.available);
  throw Error(Code::invalid_argument,
              "cannot write " + path_ + ": it takes " + std::to_string(bytes) + " bytes, and " + std::to_string(free) + " are free on its disk",
              {{"path", path_}, {"wanted", bytes}, {"free", free}});
}

bool Target::commit(bool replace) {
  std::error_code ignored;
  if (folder_ && !is_occupied(path_, folder_)) fs::remove(system_path(path_), ignored);

  if (!replace) {
    const int error = special_rename(temporary_, path_, Rename::fresh);
    if (error == EEXIST || (error == ENOTSUP && is_occupied(path_, folder_))) return false;
    if (error == ENOTSUP) rename_or_throw(temporary_, path_);
    else if (error) throw write_error(path_, error);
    temporary_.clear();
  } else if (!folder_ || !is_occupied(path_, folder_)) {
    rename_or_throw(temporary_, path_);
    temporary_.clear();
  } else if (const int error = special_rename(temporary_, path_, Rename::exchange); error == ENOTSUP) {
    const std::string old = utf8_path(system_path(parent_) / system_path("." + utf8_path(system_path(path_).filename()) + "." + random_digits() + kPartial));
    rename_or_throw(path_, old);
    try {
      rename_or_throw(temporary_, path_);
    } catch (const Error&) {
      fs::rename(system_path(old), system_path(path_), ignored);
      throw;
    }
    temporary_ = old;
  } else if (error) {
    throw write_error(path_, error);
  }
  // What was replaced, if anything, has the temporary name now, and goes with this object.
  sync_folder(parent_);
  return true;
}

}  // namespace sdxl::convert
