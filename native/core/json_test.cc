#include "core/json.h"

#include "test/check.h"

namespace sdxl::json {
namespace {

struct Wrong {
  const char* text;
  int64_t offset;
  const char* why;
};

void check_refused(std::string_view text, int64_t offset, const char* why, const Limits& limits = {}) {
  const Error error = ERROR_OF(parse(text, limits));
  const bool right = error.code == Code::model_format && error.details.size() == 1 && error.details[0] == std::pair<std::string, Detail>("offset", offset) &&
                     error.message.find("byte " + std::to_string(offset) + ":") != std::string::npos && error.message.find(why) != std::string::npos;
  sdxl::test::check(right, __FILE__, __LINE__, printable(text) + " gave " + error.message);
}

TEST("json: values of every type") {
  const Value value = parse(" {\"a\" : [1, -2.5, 1e3, true, false, null, \"x\"],\r\n\t\"\":{}, \"e\":[]} ");
  const Array& a = *value.find("a")->array();
  CHECK(a.size() == 7);
  CHECK(a[0].integer() == 1 && a[0].number() == 1.0);
  CHECK(!a[1].integer() && a[1].number() == -2.5);
  CHECK(!a[2].integer() && a[2].number() == 1000.0);
  CHECK(a[3].boolean() == true && a[4].boolean() == false && a[5].is_null());
  CHECK(*a[6].string() == "x" && !a[6].number() && !a[6].object());
  CHECK(value.find("")->object()->empty() && value.find("e")->array()->empty());
  CHECK(!value.find("b") && !a[0].find("a"));
  CHECK((*value.object())[0].name == "a" && (*value.object())[2].name == "e");
}

TEST("json: numbers at their limits") {
  CHECK(parse("9223372036854775807").integer() == INT64_MAX);
  CHECK(parse("-9223372036854775808").integer() == INT64_MIN);
  CHECK(!parse("9223372036854775808").integer() && parse("9223372036854775808").number() == 0x1p63);
  CHECK(parse("-0").integer() == 0 && parse("0.1").number() == 0.1 && parse("1E-2").number() == 0.01 && parse("5e+1").number() == 50.0);
}

TEST("json: strings") {
  CHECK(*parse(R"("\"\\\/\b\f\n\r\t")").string() == "\"\\/\b\f\n\r\t");
  CHECK(*parse(R"("\u0041\u00e9\u20AC\ud83d\ude00")").string() == "Aé€😀");
  CHECK(*parse("\"é€😀\"").string() == "é€😀");
  CHECK(*parse(R"("a\u0000b")").string() == std::string("a\0b", 3));
}

TEST("json: what is no JSON") {
  const Wrong wrong[] = {{"", 0, "expected a value"},
                         {"  ", 2, "the text ends"},
                         {"{} x", 3, "text behind"},
                         {"{\"a\":1,}", 7, "expected a name"},
                         {"[1,]", 3, "expected a value"},
                         {"[1 2]", 3, "expected ',' or ']'"},
                         {"[1", 2, "the text ends"},
                         {"{\"a\" 1}", 5, "expected ':'"},
                         {"{\"a\":1", 6, "expected ',' or '}'"},
                         {"{a:1}", 1, "expected a name"},
                         {"tru", 0, "expected a value"},
                         {"nul", 0, "expected a value"},
                         {"NaN", 0, "expected a value"},
                         {"+1", 0, "expected a value"},
                         {"01", 1, "text behind"},
                         {"-", 0, "expected a value"},
                         {"1.", 2, "expected a digit"},
                         {"1e", 2, "expected a digit"},
                         {".5", 0, "expected a value"},
                         {"1e999", 0, "beyond the range"},
                         {"\"a", 2, "closing"},
                         {"\"a\\", 2, "escape"},
                         {"\"\\x\"", 1, "escape"},
                         {"\"\\u12\"", 3, "hexadecimal"},
                         {"\"\\u12g4\"", 3, "hexadecimal"},
                         {"\"\\u-123\"", 3, "hexadecimal"},
                         {"\"\\ud800\"", 1, "surrogate"},
                         {"\"\\ud800\\u0041\"", 1, "surrogate"},
                         {"\"\\udc00\"", 1, "surrogate"},
                         {"\"\n\"", 1, "control character"},
                         {"\"\x80\"", 1, "UTF-8"},
                         {"\"\xC0\xAF\"", 1, "UTF-8"},
                         {"\"\xED\xA0\x80\"", 1, "UTF-8"},
                         {"\"\xE2\x82\"", 1, "UTF-8"},
                         {"\"\xF5\x80\x80\x80\"", 1, "UTF-8"},
                         {"\xEF\xBB\xBF{}", 0, "expected a value"},
                         {"{\"a\":1,\"b\":2,\"a\":3}", 13, "\"a\" appears twice"},
                         {"{\"a\":1,\"\\u0061\":3}", 7, "\"a\" appears twice"}};
  for (const Wrong& w : wrong) check_refused(w.text, w.offset, w.why);
  check_refused(std::string_view("\"a\0b\"", 5), 2, "control character");
}

TEST("json: every beginning of a text is refused or whole") {
  const std::string text = R"({"a":[1,-2.5e3,true,null,"é\u00e9\ud83d\ude00"],"b":{"c":{}}})";
  for (size_t n = 0; n < text.size(); ++n) {
    const std::string start(text, 0, n);  // its own memory, so that a sanitizer sees a read behind its end
    CHECK(ERROR_OF(parse(start)).code == Code::model_format);
  }
  CHECK(parse(text).find("b") != nullptr);
}

TEST("json: depth and size") {
  check_refused(std::string(10'000'000, '['), 65, "64 deep");
  std::string objects;
  for (int i = 0; i < 100; ++i) objects += "{\"a\":";
  check_refused(objects, 65 * 5, "64 deep");
  CHECK(parse("[[[]]]", {.depth = 2}).array());
  check_refused("[[[[]]]]", 3, "2 deep", {.depth = 2});
  CHECK(parse("[1,2,3]", {.values = 4}).array()->size() == 3);
  check_refused("[1,2,3,4]", 7, "4 values", {.values = 4});
}

TEST("json: an object of many names") {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"name." + std::to_string(i) + "\":" + std::to_string(i) + ",";
  const Value value = parse(text + "\"last\":0}");
  CHECK(value.object()->size() == 200'001);
  CHECK(value.find("name.199999")->integer() == 199'999);
  check_refused(text + "\"name.7\":0}", int64_t(text.size()), "\"name.7\" appears twice");
}

TEST("json: text for messages") {
  CHECK(printable("plain é😀") == "plain é😀");
  CHECK(printable("a\n\x7F\x80") == "a\\x0a\\x7f\\x80");
  CHECK(printable("ééééé", 4) == "éé…");
  CHECK(printable(std::string(1000, 'x')).size() < 170);
}

}  // namespace
}  // namespace sdxl::json
