#include "core/file.h"

#include <cerrno>
#include <system_error>

#include "core/mapped_file.h"

#ifdef _WIN32
#include <io.h>
#else
#include <fcntl.h>
#include <unistd.h>
#endif

namespace sdxl {

namespace {

#ifdef _WIN32
std::FILE* open(const std::string& path, const wchar_t* mode) { return _wfopen(system_path(path).c_str(), mode); }
#define SDXL_FILE_MODE(text) L##text L"bN"
int seek(std::FILE* file, int64_t offset, int from) { return _fseeki64(file, offset, from); }
int64_t tell(std::FILE* file) { return _ftelli64(file); }
int sync(std::FILE* file) { return _commit(_fileno(file)); }
#else
std::FILE* open(const std::string& path, const char* mode) { return std::fopen(path.c_str(), mode); }
#define SDXL_FILE_MODE(text) text "be"  // e: not for child processes
int seek(std::FILE* file, int64_t offset, int from) { return fseeko(file, off_t(offset), from); }
int64_t tell(std::FILE* file) { return int64_t(ftello(file)); }
int sync(std::FILE* file) { return ::fsync(fileno(file)); }
#endif

std::string message(int system_error) { return std::system_category().message(system_error); }

}  // namespace

InputFile::InputFile(std::string path) : path_(std::move(path)), file_(open(path_, SDXL_FILE_MODE("r"))) {
  if (!file_ || seek(file_.get(), 0, SEEK_END) != 0 || (size_ = tell(file_.get())) < 0 || seek(file_.get(), 0, SEEK_SET) != 0)
    throw Error(Code::model_not_found, "cannot open the file \"" + path_ + "\": " + message(errno), {{"path", path_}});
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);  // callers read in large pieces
}

void InputFile::read(int64_t offset, std::span<std::byte> to) {
  if (to.empty()) return;
  const bool there = offset == at_ || seek(file_.get(), offset, SEEK_SET) == 0;
  const size_t got = there ? std::fread(to.data(), 1, to.size(), file_.get()) : 0;
  at_ = got == to.size() ? offset + int64_t(got) : -1;
  if (got == to.size()) return;
  const std::string why = std::ferror(file_.get()) ? message(errno) : "it ends at byte " + std::to_string(offset + int64_t(got));
  throw Error(Code::model_format, "cannot read " + std::to_string(to.size()) + " bytes at " + std::to_string(offset) + " of " + path_ + ": " + why,
              {{"path", path_}});
}

OutputFile::OutputFile(std::string path) : path_(std::move(path)), file_(open(path_, SDXL_FILE_MODE("wx"))) {
  if (!file_) throw write_error(path_, errno);
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) throw write_error(path_, errno);
#ifdef __linux__
  // Starts the disk now, so that finish() has little to wait for.
  if (bytes.size() >= 1 << 20) ::sync_file_range(fileno(file_.get()), size_, off_t(bytes.size()), SYNC_FILE_RANGE_WRITE);
#endif
  size_ += int64_t(bytes.size());
}

void OutputFile::finish() {
  if (sync(file_.get()) != 0) throw write_error(path_, errno);
  if (std::fclose(file_.release()) != 0) throw write_error(path_, errno);
}

Error write_error(const std::string& path, int system_error) {
  const std::string why = message(system_error);
  switch (system_error) {
    case ENOSPC:
    case EACCES:
    case EPERM:
    case EROFS:
    case EFBIG:
    case EEXIST:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ENAMETOOLONG:
#ifdef EDQUOT
    case EDQUOT:
#endif
      return Error(Code::invalid_argument, "cannot write " + path + ": " + why, {{"path", path}, {"reason", why}});
    default: return Error(Code::internal, "cannot write " + path + ": " + why, {{"path", path}, {"reason", why}});
  }
}

void sync_folder([[maybe_unused]] const std::string& path) {
#ifndef _WIN32
  // Some file systems have no such thing for folders, and then nothing more can be done.
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  ::fsync(folder);
  ::close(folder);
#endif
}

}  // namespace sdxl
