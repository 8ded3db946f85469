// The suite for GPUs on the fake one: every simple kernel through launch, driver and emulator, compared as on a GPU.
#include "cuda/bench/suite.h"
#include "cuda/test/fake_gpu.h"
#include "test/check.h"

namespace sdxl::test {

TEST("cuda bench: every case is right, and a wrong one is found") {
  cuda::FakeCuda& fake = fake_cuda();
  std::vector<std::string> files;
  for (const char* name : {"group_norm", "layer_norm", "activation", "convert", "layout", "embedding", "combine", "guidance", "noise", "rgb"})
    files.push_back(std::string(name) + ".sm_86");
  const CubinFolder folder(files);
  {
    cuda::bench::Suite suite({.library = SDXL_FAKE_CUDA, .cubins = folder.path(), .small = true, .table = false});
    auto cases = cuda::bench::simple_cases(true);
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

}  // namespace sdxl::test
