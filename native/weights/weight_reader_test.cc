#include "weights/weight_reader.h"

#include <array>

#include "test/check.h"

namespace sdxl::weights {
namespace {

const std::byte kData[8] = {};

Component unet() {
  Component c{"unet", {}};
  const auto add = [&](const char* name, std::vector<int64_t> shape, const char* name_in_file = nullptr, DType dtype = DType::f16) {
    c.tensors[name] = {kData, dtype, std::move(shape), false, "m.safetensors", name_in_file ? name_in_file : name};
  };
  add("down_blocks.0.conv.weight", {64, 64, 1, 1}, "model.diffusion_model.input_blocks.0.weight");
  add("down_blocks.1.conv.weight", {2});
  add("down_blocks.20.conv.weight", {2});
  add("down_blocks.3.conv.weight", {2});
  add("ids", {2}, nullptr, DType::i64);
  add("scalar", {});
  return c;
}

TEST("weight reader: what is there") {
  const Component c = unet();
  const WeightReader reader(c);
  CHECK(reader.has("ids") && !reader.has("id") && !reader.has("down_blocks.0"));
  CHECK(reader.has_any("down_blocks.0.") && reader.has_any("id") && !reader.has_any("up_blocks.") && !reader.has_any("zzz"));
  CHECK(reader.count("down_blocks.") == 2);  // 20 continues nothing, and is not 2
  CHECK(reader.count("up_blocks.") == 0 && reader.count("id") == 0);
}

TEST("weight reader: taking everything leaves no problem") {
  const Component c = unet();
  WeightReader reader(c);
  CHECK(reader.dim("down_blocks.0.conv.weight", 1) == 64);
  const SourceTensor* conv = reader.take("down_blocks.0.conv.weight", std::array<int64_t, 4>{64, 64, 1, 1});
  CHECK(conv && conv == &c.tensors.at("down_blocks.0.conv.weight"));
  for (const char* name : {"down_blocks.1.conv.weight", "down_blocks.20.conv.weight", "down_blocks.3.conv.weight"})
    CHECK(reader.take(name, std::array<int64_t, 1>{2}));
  CHECK(reader.take("scalar", {}));
  const std::string_view ignorable[] = {"ds"};
  CHECK(reader.problems(ignorable).empty());
  CHECK((reader.problems() == std::vector<std::string>{"unet: ids is left over: nothing in the model uses it"}));
}

TEST("weight reader: problems name the tensor, what was wanted and what was found") {
  const Component c = unet();
  WeightReader reader(c);
  reader.problem("first");
  CHECK(!reader.take("down_blocks.0.conv.weight", std::array<int64_t, 4>{64, 64, 3, 3}));
  CHECK(!reader.take("ids", std::array<int64_t, 1>{2}));
  CHECK(!reader.take("absent.weight", std::array<int64_t, 2>{3, 4}));
  CHECK(reader.dim("scalar", 0) == 0);
  CHECK(reader.dim("also.absent", 0) == 0 && reader.dim("also.absent", 1) == 0);
  CHECK(!reader.take("also.absent", std::array<int64_t, 1>{0}));  // reported once
  const std::vector<std::string> wanted = {
      "first",
      "unet: down_blocks.0.conv.weight (model.diffusion_model.input_blocks.0.weight) has shape [64, 64, 1, 1], wanted [64, 64, 3, 3]",
      "unet: ids has dtype I64, wanted F32, F16, BF16, F8_E4M3 or F8_E5M2",
      "unet: absent.weight is missing, wanted shape [3, 4]",
      "unet: scalar has shape [], wanted at least 1 dimensions",
      "unet: also.absent is missing",
      "unet: down_blocks.1.conv.weight is left over: nothing in the model uses it",
      "unet: down_blocks.20.conv.weight is left over: nothing in the model uses it",
      "unet: down_blocks.3.conv.weight is left over: nothing in the model uses it",
      "unet: scalar is left over: nothing in the model uses it",
  };
  const auto problems = reader.problems();
  CHECK(problems.size() == wanted.size());
  for (size_t i = 0; i < std::min(problems.size(), wanted.size()); ++i) sdxl::test::check(problems[i] == wanted[i], __FILE__, __LINE__, problems[i]);
}

}  // namespace
}  // namespace sdxl::weights
