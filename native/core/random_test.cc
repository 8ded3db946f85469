#include "core/random.h"

#include <vector>

#include "core/json.h"
#include "core/mapped_file.h"
#include "test/check.h"

namespace sdxl {
namespace {

// tools/reference/random_values.py wrote these files.
json::Value golden(const std::string& name) {
  const MappedFile file(std::string(SDXL_TEST_DATA) + "/random/" + name);
  return json::parse(file.text());
}

void check_values(const std::vector<float>& values, const json::Array& wanted, double tolerance) {
  CHECK(values.size() == wanted.size());
  for (size_t i = 0; i < values.size(); ++i) CHECK_NEAR(values[i], *wanted[i].number(), tolerance);
}

TEST("philox: known answers of Random123") {
  using Block = std::array<uint32_t, 4>;
  CHECK((Philox::block({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  CHECK((Philox::block({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK((Philox::block({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) == Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST("philox: normal values of torch on CUDA, seed 0") {
  constexpr double kWanted[] = {-0.92466259, -0.42534415, -2.6438457,  0.14518388,  -0.12086647, -0.57972564,
                                -0.62285122, -0.32838709, -1.07454231, -0.36314407, -1.67105067, 2.26550497};
  std::vector<float> values(12);
  Philox::normal(0, 0, values);
  // One float ulp at 2.6 is 2.4e-7; the wanted values are printed with 8 decimals.
  for (size_t i = 0; i < 12; ++i) CHECK_NEAR(values[i], kWanted[i], 2.5e-7);
}

TEST("philox: seeds of 64 bits and later draws") {
  const json::Value file = golden("philox.json");
  CHECK(file.array()->size() == 14);
  for (const json::Value& c : *file.array()) {
    const json::Array& wanted = *c.find("values")->array();
    std::vector<float> values(wanted.size());
    Philox::normal(std::stoull(*c.find("seed")->string()), std::stoull(*c.find("draw")->string()), values);
    check_values(values, wanted, 5e-7);  // one ulp of values up to 8: the libraries' log and sin may differ in the last bit of a double
  }
}

TEST("torch-cpu: torch.randn, single calls and streams") {
  const json::Value file = golden("torch_cpu.json");
  CHECK(file.array()->size() == 30);
  for (const json::Value& c : *file.array()) {
    TorchCpu generator(uint64_t(*c.find("seed")->integer()));
    for (const json::Value& draw : *c.find("draws")->array()) {
      std::vector<float> values(draw.array()->size());
      generator.normal(values);
      // torch's vectorised log, sin and cos round differently: two float ulps at the largest value, 4.1. Found: 2.9e-7.
      check_values(values, *draw.array(), 1e-6);
    }
  }
}

TEST("torch-cpu: only 32 bits of the seed count, nothing is drawn for nothing") {
  std::vector<float> a(20), b(20);
  TorchCpu(5).normal(a);
  TorchCpu other((uint64_t(1) << 40) + 5);
  other.normal({});
  other.normal(b);
  CHECK(a == b);
}

}  // namespace
}  // namespace sdxl
