#include "core/file.h"

#include "core/mapped_file_test.h"
#include "test/check.h"

namespace sdxl {
namespace {

using test::TempFolder;

std::string read(InputFile& file, int64_t offset, size_t length) {
  std::string text(length, '.');
  file.read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

TEST("file: what is written is read, in any order") {
  const TempFolder folder;
  const std::string path = folder / "größe";
  OutputFile out(path);
  const std::string text = "hello, world";
  out.write(std::as_bytes(std::span(text)));
  out.write({});
  CHECK(out.size() == 12);
  out.finish();
  InputFile in(path);
  CHECK(in.size() == 12 && in.path() == path);
  CHECK(read(in, 7, 5) == "world" && read(in, 0, 5) == "hello" && read(in, 5, 2) == ", " && read(in, 7, 5) == "world");
  const Error error = ERROR_OF(read(in, 10, 5));
  CHECK(error.code == Code::model_format && error.message.find("it ends at byte 12") != std::string::npos);
  CHECK(read(in, 0, 5) == "hello");
}

TEST("file: what cannot be opened") {
  const TempFolder folder;
  CHECK(ERROR_OF(InputFile(folder / "absent")).code == Code::model_not_found);
  CHECK(ERROR_OF(OutputFile(folder / "no/where")).code == Code::invalid_argument);
  folder.write("there", "x");
  const Error exists = ERROR_OF(OutputFile(folder / "there"));
  CHECK(exists.code == Code::invalid_argument && exists.message.find("there") != std::string::npos);
}

}  // namespace
}  // namespace sdxl
