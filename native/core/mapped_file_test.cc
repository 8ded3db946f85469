#include "core/mapped_file.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/mapped_file_test.h"
#include "test/check.h"

namespace sdxl {
namespace {

using test::TempFolder;

void check_refused(const std::string& path, Code code, const char* why) {
  const Error error = ERROR_OF(MappedFile{path});
  CHECK(error.code == code);
  CHECK(error.message.find(path) != std::string::npos);
  CHECK(error.message.find(why) != std::string::npos);
  CHECK((error.details == std::vector<std::pair<std::string, Detail>>{{"path", path}}));
}

TEST("mapped file: its bytes, under any name") {
  const TempFolder folder;
  for (const char* name : {"plain", "with space", "日本語 модель.bin"}) {
    const MappedFile file(folder.write(name, "some bytes"));
    CHECK(file.bytes().size() == 10 && std::memcmp(file.bytes().data(), "some bytes", 10) == 0);
    CHECK(file.path() == folder / name);
  }
}

TEST("mapped file: absent, a folder, empty") {
  const TempFolder folder;
  const std::string file = folder.write("file", "x");
  check_refused(folder / "absent", Code::model_not_found, "does not exist");
  check_refused(file + "/below", Code::model_not_found, "does not exist");
  check_refused(folder.path(), Code::model_not_found, "is a folder");
  check_refused(folder.write("empty", ""), Code::model_format, "is empty");
  check_refused("", Code::model_not_found, "does not exist");
  check_refused(file + std::string("\0tail", 5), Code::model_not_found, "NUL");
  check_refused(std::string(5000, 'x'), Code::model_not_found, "");
}

#ifdef __linux__
TEST("mapped file: no regular file") { check_refused("/dev/null", Code::model_not_found, "a regular file is wanted"); }
#endif

TEST("mapped file: paths there and back") {
  for (const char* path : {"", "a/b.safetensors", "/ä/日本語"}) CHECK(utf8_path(system_path(path)) == path);
}

}  // namespace
}  // namespace sdxl
