// What tells the content of a file from that of another, and from its own before a change, without reading it.
#pragma once

#include <string>
#include <system_error>

namespace sdxl {

// Two files that differ in it may differ in content. It holds the path, UTF-8, the size and the time of the last write; on POSIX systems the
// file's number and the time of its last change too, which programs that restore the time of writing (copies, archives, synchronization)
// cannot set. Writes of the same size within one tick of the system's clock, some milliseconds, may look like one. Where the file cannot be
// looked at, `error` is set and the text is "".
std::string file_identity(const std::string& path, std::error_code& error);

}  // namespace sdxl
