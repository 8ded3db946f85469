// The suite for GPUs on the fake one: every simple kernel through launch, driver and emulator, compared as on a GPU.
#include "cuda/bench/suite.h"
#include "cuda/test/fake_gpu.h"
#include "test/check.h"

namespace sdxl::test {

namespace {

std::vector<std::string> cubins_for(const std::string& architecture) {
  std::vector<std::string> names;
  for (const char* file : {"activation", "attention", "attention_wgmma", "attention_wide", "combine", "conv2d", "conv2d_wgmma", "convert", "embedding", "gemm",
                           "gemm_wgmma", "group_norm", "guidance", "layer_norm", "layout", "narrow", "noise", "rgb"})
    names.push_back(std::string(file) + "." + architecture);
  return names;
}

}  // namespace

TEST("cuda bench: every case is right, and a wrong one is found") {
  cuda::FakeCuda& fake = fake_cuda();
  const CubinFolder folder(cubins_for("sm_86"));
  {
    cuda::bench::Suite suite({.library = SDXL_FAKE_CUDA, .cubins = folder.path(), .small = true, .table = false});
    auto cases = cuda::bench::simple_cases(true);
    for (const auto& c : cuda::bench::matrix_cases(true, suite.device())) cases.push_back(c);
    for (const auto& c : cases) {
      suite.run(c);
      check(suite.all_right(), __FILE__, __LINE__, c.name);
    }
    CHECK(suite.report().find("cases")->array()->size() == cases.size());

    auto& wrong = cases.front();
    wrong.prepare = [prepare = wrong.prepare](cuda::bench::Set& set, cuda::bench::Case::Check* found) {
      auto launches = prepare(set, found);
      if (found) launches.pop_back();  // its output stays unwritten
      return launches;
    };
    suite.run(wrong);
    CHECK(!suite.all_right());
  }
  CHECK(fake.live() == 0);
}

TEST("cuda bench: the kernels of sm_90a, with the driver's tensor maps") {
  cuda::FakeCuda& fake = fake_cuda();
  fake.gpus = {{.name = "Fake Hopper", .major = 9, .minor = 0, .shared_bytes = 227 << 10}};
  const CubinFolder folder(cubins_for("sm_90a"));
  cuda::bench::Suite suite({.library = SDXL_FAKE_CUDA, .cubins = folder.path(), .only = "wgmma", .small = true, .table = false});
  for (const auto& c : cuda::bench::matrix_cases(true, suite.device())) {
    suite.run(c);
    check(suite.all_right(), __FILE__, __LINE__, c.name);
  }
  CHECK(suite.report().find("cases")->array()->size() == 4);
  CHECK(fake.calls_of("cuTensorMapEncodeTiled") > 0);
}

}  // namespace sdxl::test
