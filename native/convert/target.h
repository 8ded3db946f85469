// Where a result goes: written under a temporary name beside its place, and put there as a whole.
#pragma once

#include <cstdint>
#include <string>

namespace sdxl::convert {

// Whether something is there already. To a folder that is to be written, an empty one in its place is as good as none.
bool is_occupied(const std::string& path, bool folder);

class Target {
 public:
  // Removes what a process that was ended left of an earlier attempt at the same target. Throws Error(invalid_argument) when the folder that
  // `path` lies in does not exist.
  Target(std::string path, bool folder);
  ~Target();  // removes what was not committed
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  // For a folder it exists already.
  const std::string& temporary() const { return temporary_; }

  // Throws Error(invalid_argument) with the bytes wanted and free.
  void require_space(int64_t bytes) const;

  // `replace` false: false is returned, and nothing done, when something has appeared in the place meanwhile.
  bool commit(bool replace);

 private:
  std::string path_, parent_, temporary_;
  bool folder_;
};

// The mark of temporary names; what bears it may be removed when nothing has been written to it for ten minutes.
inline constexpr const char* kPartial = ".partial";

}  // namespace sdxl::convert
