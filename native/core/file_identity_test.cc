#include "core/file_identity.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include "core/file.h"
#include "core/mapped_file_test.h"
#include "test/check.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

std::string identity(const std::string& path) {
  std::error_code error;
  const std::string text = file_identity(path, error);
  CHECK(!error && !text.empty());
  return text;
}

TEST("file identity: the same for as long as nothing is written") {
  const TempFolder folder;
  const std::string path = folder.write("größe", "first");
  const std::string first = identity(path);
  CHECK(InputFile(path).size() == 5);
  CHECK(identity(path) == first);
  CHECK(identity(folder.write("other", "first")) != first);
  folder.write("größe", "longer");
  CHECK(identity(path) != first);
}

TEST("file identity: another time of writing is another file") {
  const TempFolder folder;
  const std::string path = folder.write("a", "first");
  const std::string first = identity(path);
  fs::last_write_time(system_path(path), fs::last_write_time(system_path(path)) - std::chrono::seconds(3));
  CHECK(identity(path) != first);
}

TEST("file identity: a file that is not there") {
  const TempFolder folder;
  std::error_code error;
  CHECK(file_identity(folder / "absent", error).empty());
  CHECK(error == std::errc::no_such_file_or_directory);
}

#ifndef _WIN32
TEST("file identity: the same size and time do not hide that a file was written") {
  const TempFolder folder;
  const std::string path = folder.write("a", "first");
  const auto written = fs::last_write_time(path);
  const std::string first = identity(path);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // several ticks of the clock that files are stamped by
  folder.write("a", "other");
  fs::last_write_time(path, written);
  const std::string second = identity(path);
  CHECK(second != first);

  const std::string beside = folder.write("b", "third");
  fs::last_write_time(beside, written);
  fs::rename(beside, path);
  CHECK(fs::last_write_time(path) == written && fs::file_size(path) == 5);
  CHECK(identity(path) != second && identity(path) != first);
}
#endif

}  // namespace
}  // namespace sdxl
