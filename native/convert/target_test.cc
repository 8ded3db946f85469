#include "convert/target.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/mapped_file_test.h"
#include "test/check.h"

namespace sdxl::convert {
namespace {

using sdxl::test::TempFolder;
namespace fs = std::filesystem;

void write(const std::string& path, const std::string& text) { std::ofstream(system_path(path)) << text; }
std::string read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(system_path(path)).rdbuf();
  return text.str();
}
size_t entries(const TempFolder& folder) { return size_t(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator())); }

TEST("target: a file appears as a whole, or not at all") {
  const TempFolder folder;
  const std::string path = folder / "model";
  {
    Target target(path, false);
    write(target.temporary(), "half");
    CHECK(!fs::exists(path));
  }
  CHECK(entries(folder) == 0);
  {
    Target target(path, false);
    write(target.temporary(), "new");
    CHECK(target.commit(false));
  }
  CHECK(read(path) == "new" && entries(folder) == 1);
  {
    Target target(path, false);
    write(target.temporary(), "newer");
    CHECK(!target.commit(false));
    CHECK(read(path) == "new");
    CHECK(target.commit(true));
  }
  CHECK(read(path) == "newer" && entries(folder) == 1);
}

TEST("target: a folder takes the place of nothing, of an empty one, and of another when asked to") {
  const TempFolder folder;
  const std::string path = folder / "model";
  const auto make = [&](const std::string& text, bool replace) {
    Target target(path, true);
    write(target.temporary() + "/" + text, text);
    return target.commit(replace);
  };
  CHECK(make("first", false) && read(path + "/first") == "first");
  CHECK(!make("second", false) && !fs::exists(path + "/second"));
  CHECK(make("third", true) && fs::exists(path + "/third") && !fs::exists(path + "/first"));
  fs::remove(path + "/third");
  CHECK(make("fourth", false) && fs::exists(path + "/fourth"));
  CHECK(entries(folder) == 1);
}

TEST("target: space, and the folder around it") {
  const TempFolder folder;
  Target target(folder / "model", false);
  target.require_space(1000);
  const Error full = ERROR_OF(target.require_space(int64_t(1) << 60));
  CHECK(full.code == Code::invalid_argument);
  CHECK(full.details.size() == 3 && full.details[1].first == "wanted" && std::get<int64_t>(full.details[1].second) == int64_t(1) << 60);
  CHECK(full.details[2].first == "free" && std::get<int64_t>(full.details[2].second) > 0);
  CHECK(ERROR_OF(Target(folder / "no/where", false)).code == Code::invalid_argument);
  write(folder / "file", "");
  CHECK(ERROR_OF(Target(folder / "file/model", true)).message.find("is a file") != std::string::npos);
}

TEST("target: what was abandoned goes, what is written to stays") {
  const TempFolder folder;
  const auto old = fs::file_time_type::clock::now() - std::chrono::minutes(11);
  const auto leave = [&](const std::string& name, fs::file_time_type written) {
    const std::string path = folder / name;
    fs::create_directories(path);
    write(path + "/part", "half");
    fs::last_write_time(path + "/part", written);
    fs::last_write_time(path, old);
    return path;
  };
  const std::string abandoned = leave(".model.0.partial", old), busy = leave(".model.1.partial", fs::file_time_type::clock::now());
  const std::string other = leave(".models.0.partial", old), unlike = leave(".model.0.part", old);
  const Target target(folder / "model", false);
  CHECK(!fs::exists(abandoned) && fs::exists(busy) && fs::exists(other) && fs::exists(unlike));
}

}  // namespace
}  // namespace sdxl::convert
