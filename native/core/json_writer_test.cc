#include "core/json_writer.h"

#include "test/check.h"

namespace sdxl::json {
namespace {

TEST("json writer: what it writes is read back") {
  const std::string source = R"({"a": [1, -2.5, 1e-05, 0.13025, true, null], "b": {"c": "ü \"x\" \\ \u0001"}, "d": [], "e": {}, "f": [[1, 2], ["x"]]})";
  const std::string written = text(parse(source));
  CHECK(text(parse(written)) == written);
  CHECK(written ==
        "{\n  \"a\": [1, -2.5, 1e-05, 0.13025, true, null],\n  \"b\": {\n    \"c\": \"ü \\\"x\\\" \\\\ \\u0001\"\n  },\n  \"d\": [],\n  \"e\": {},\n"
        "  \"f\": [\n    [1, 2],\n    [\"x\"]\n  ]\n}\n");
}

TEST("json writer: members are replaced where they stand") {
  Value value = parse(R"({"a":1,"b":2})");
  set(*value.object(), "a", Value(std::string("x")));
  set(*value.object(), "c", array_of({"y", "z"}));
  CHECK(text(value) == "{\n  \"a\": \"x\",\n  \"b\": 2,\n  \"c\": [\"y\", \"z\"]\n}\n");
}

}  // namespace
}  // namespace sdxl::json
