#include "core/mapped_file.h"

#include <cstdint>
#include <utility>

#include "core/error.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#endif
#include <system_error>

namespace sdxl {

namespace {

Error not_found(const std::string& path, const std::string& why) {
  return Error(Code::model_not_found, "cannot open the file \"" + path + "\": " + why, {{"path", path}});
}
Error absent(const std::string& path) { return not_found(path, "it does not exist"); }
Error folder(const std::string& path) { return not_found(path, "it is a folder, a file is wanted"); }
Error unreadable(const std::string& path, int system_error) { return not_found(path, "it is not readable: " + std::system_category().message(system_error)); }
Error empty(const std::string& path) {
  return Error(Code::model_format, "the file \"" + path + "\" is empty (0 bytes); copy or download it again", {{"path", path}});
}

}  // namespace

std::filesystem::path system_path(const std::string& utf8) { return std::filesystem::path(std::u8string(utf8.begin(), utf8.end())); }

std::string utf8_path(const std::filesystem::path& path) {
  const std::u8string text = path.u8string();
  return std::string(text.begin(), text.end());
}

#ifdef _WIN32

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  if (path_.find('\0') != std::string::npos) throw not_found(path_, "the path contains a NUL character");
  struct Handle {
    HANDLE handle;
    ~Handle() {
      if (handle && handle != INVALID_HANDLE_VALUE) CloseHandle(handle);
    }
  };
  const std::wstring wide = system_path(path_).wstring();
  if (const DWORD attributes = GetFileAttributesW(wide.c_str()); attributes != INVALID_FILE_ATTRIBUTES && attributes & FILE_ATTRIBUTE_DIRECTORY)
    throw folder(path_);
  const Handle file{CreateFileW(wide.c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr)};
  if (file.handle == INVALID_HANDLE_VALUE) {
    const DWORD error = GetLastError();
    throw error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND || error == ERROR_INVALID_NAME ? absent(path_) : unreadable(path_, int(error));
  }
  LARGE_INTEGER size;
  if (!GetFileSizeEx(file.handle, &size)) throw unreadable(path_, int(GetLastError()));
  if (size.QuadPart == 0) throw empty(path_);
  const Handle mapping{CreateFileMappingW(file.handle, nullptr, PAGE_READONLY, 0, 0, nullptr)};
  if (!mapping.handle) throw unreadable(path_, int(GetLastError()));
  const void* memory = MapViewOfFile(mapping.handle, FILE_MAP_READ, 0, 0, 0);
  if (!memory) throw unreadable(path_, int(GetLastError()));
  bytes_ = {static_cast<const std::byte*>(memory), size_t(size.QuadPart)};
}

MappedFile::~MappedFile() { UnmapViewOfFile(bytes_.data()); }

#else

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  if (path_.find('\0') != std::string::npos) throw not_found(path_, "the path contains a NUL character");
  struct Descriptor {
    int number;
    ~Descriptor() {
      if (number >= 0) ::close(number);
    }
  };
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  const Descriptor file{::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) throw errno == ENOENT || errno == ENOTDIR ? absent(path_) : unreadable(path_, errno);
  struct stat status;
  if (::fstat(file.number, &status) != 0) throw unreadable(path_, errno);
  if (S_ISDIR(status.st_mode)) throw folder(path_);
  if (!S_ISREG(status.st_mode)) throw not_found(path_, "it is a device or pipe, a regular file is wanted");
  if (status.st_size == 0) throw empty(path_);
  void* memory = ::mmap(nullptr, size_t(status.st_size), PROT_READ, MAP_PRIVATE, file.number, 0);
  if (memory == MAP_FAILED) throw unreadable(path_, errno);
  bytes_ = {static_cast<const std::byte*>(memory), size_t(status.st_size)};
}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

#endif

}  // namespace sdxl
