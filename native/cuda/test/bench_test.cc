// The suite for GPUs on the fake one: every kernel, and whole models, through launch, driver and emulator, compared as on a GPU.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/json_writer.h"
#include "core/sha256.h"
#include "cuda/bench/checkpoint.h"
#include "cuda/bench/engine.h"
#include "cuda/bench/suite.h"
#include "cuda/test/cuda_backend.h"
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

std::string scratch_file(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("sdxl-bench-" + std::to_string(getpid()) + "-" + name)).string();
}

}  // namespace

TEST("cuda bench: every case is right, and a wrong one is found") {
  cuda::FakeCuda& fake = fake_cuda();
  const CubinFolder folder(cubins_for("sm_86"));
  {
    cuda::bench::Report report;
    cuda::bench::Suite suite({.library = SDXL_FAKE_CUDA, .cubins = folder.path(), .small = true, .table = false}, report);
    auto cases = cuda::bench::simple_cases(true);
    for (const auto& c : cuda::bench::matrix_cases(true, suite.device())) cases.push_back(c);
    for (const auto& c : cases) {
      suite.run(c);
      check(report.all_right(), __FILE__, __LINE__, c.name);
    }
    CHECK(report.list("cases").size() == cases.size());

    auto& wrong = cases.front();
    wrong.prepare = [prepare = wrong.prepare](cuda::bench::Set& set, cuda::bench::Case::Check* found) {
      auto launches = prepare(set, found);
      if (found) launches.pop_back();  // its output stays unwritten
      return launches;
    };
    suite.run(wrong);
    CHECK(!report.all_right() && report.list("cases").size() == cases.size());
    CHECK(report.list("cases").front().find("right")->boolean() == false);
  }
  CHECK(fake.live() == 0);
}

TEST("cuda bench: the kernels of sm_90a, with the driver's tensor maps") {
  cuda::FakeCuda& fake = fake_cuda();
  fake.gpus = {{.name = "Fake Hopper", .major = 9, .minor = 0, .shared_bytes = 227 << 10}};
  const CubinFolder folder(cubins_for("sm_90a"));
  cuda::bench::Report report;
  cuda::bench::Suite suite({.library = SDXL_FAKE_CUDA, .cubins = folder.path(), .only = "wgmma", .small = true, .table = false}, report);
  for (const auto& c : cuda::bench::matrix_cases(true, suite.device())) {
    suite.run(c);
    check(report.all_right(), __FILE__, __LINE__, c.name);
  }
  CHECK(report.list("cases").size() == 4);
  CHECK(fake.calls_of("cuTensorMapEncodeTiled") > 0);
}

TEST("cuda bench: a kernel that fails is wrong, and the next one is run") {
  cuda::FakeCuda& fake = fake_cuda();
  const CubinFolder folder(cubins_for("sm_86"));
  cuda::bench::Report report;
  cuda::bench::Suite suite({.library = SDXL_FAKE_CUDA, .cubins = folder.path(), .only = "layer norm", .small = true, .table = false}, report);
  fake.failures["cuLaunchKernel"] = {cuda::Result{701}};  // too many resources requested, of which a driver recovers
  for (const auto& c : cuda::bench::simple_cases(true)) suite.run(c);
  const json::Array& cases = report.list("cases");
  CHECK(cases.size() == 3 && !report.all_right());
  CHECK(cases[0].find("failure") && cases[0].find("right")->boolean() == false);
  CHECK(!cases[1].find("failure") && cases[1].find("right")->boolean() == true);
}

TEST("cuda bench: results are kept in a file, which the next run goes on with") {
  const std::string path = scratch_file("results.json");
  {
    cuda::bench::Report report(path);
    report.set("gpu", cuda::bench::string("a GPU"));
    report.add_checked("cases", {{"name", cuda::bench::string("a")}, {"error", cuda::bench::number(NAN)}}, false);
    report.add_checked("cases", {{"name", cuda::bench::string("b")}}, true);
    CHECK(!report.all_right());
  }
  cuda::bench::Report report(path);
  CHECK(report.all_right());
  report.add_checked("cases", {{"name", cuda::bench::string("a")}, {"error", cuda::bench::number(0.5)}}, true);
  const json::Value found = cuda::bench::Report(path).value();
  CHECK(*found.find("gpu")->string() == "a GPU");
  const json::Array& cases = *found.find("cases")->array();
  CHECK(cases.size() == 2);
  CHECK(cases[0].find("error")->number() == 0.5 && cases[0].find("right")->boolean() == true);
  CHECK(*cases[1].find("name")->string() == "b");
  std::filesystem::remove(path);
}

TEST("cuda bench: the checkpoint is that of tools/synthesize-checkpoint.mjs") {
  const std::string path = scratch_file("tiny.safetensors");
  const int64_t bytes = cuda::bench::write_checkpoint(cuda::bench::smallest_spec(), path, 3);
  CHECK(bytes == int64_t(std::filesystem::file_size(path)));
  Sha256 hash;
  std::ifstream file(path, std::ios::binary);
  hash.add(std::string(std::istreambuf_iterator<char>(file), {}));
  // sha256sum of what `node tools/synthesize-checkpoint.mjs smallest file` writes.
  CHECK(hash.hex() == "4d137c27df9829d4d09ce79a1aa4d014cec4616ef16bbb42f289178c586142bd");
  std::filesystem::remove(path);
  CHECK(ERROR_OF(cuda::bench::write_checkpoint(cuda::bench::smallest_spec(), "/nowhere/at/all", 1)).code == Code::invalid_argument);
}

TEST("cuda bench: whole models are right beside the CPU's, and every stage is timed") {
  const std::string path = scratch_file("model.safetensors");
  cuda::bench::write_checkpoint(cuda::bench::smallest_spec(), path, 2);
  for (const cuda::FakeGpu& gpu : {kAmpereGpu, kHopperGpu}) {
    const bool hopper = gpu.major == 9;
    cuda::FakeCuda& fake = fake_cuda();
    fake.gpus = {gpu};
    const CubinFolder folder(cubins_for(hopper ? "sm_90a" : "sm_86"));
    const cuda::bench::Options options{
        .library = SDXL_FAKE_CUDA, .cubins = folder.path(), .precision = hopper ? "bf16" : "auto", .small = true, .table = false};
    cuda::bench::Report report;
    cuda::bench::compare_models(options, path, hopper ? "" : SDXL_TEST_MODELS "/tiny-shapes.safetensors", report);
    const json::Array& comparisons = report.list("comparisons");
    CHECK(comparisons.size() == (hopper ? 10 : 11));
    for (const json::Value& row : comparisons) {
      const std::string& name = *row.find("name")->string();
      check(row.find("right")->boolean() == true, __FILE__, __LINE__, name + json::text(row));
      // A GPU rounds: where there is no difference, nothing was compared.
      CHECK((row.find("error")->number() > 0) == (name.find("last bit") == std::string::npos));
    }
    CHECK(fake.last_fault.empty());
    if (hopper) continue;

    // A launch somewhere in the middle fails.
    const int64_t launches = fake.calls_of("cuLaunchKernel");
    fake.failures["cuLaunchKernel"] = {cuda::Result{701}, int(launches) / 2};
    cuda::bench::Report failed;
    cuda::bench::compare_models(options, path, "", failed);
    int wrong = 0;
    for (const json::Value& row : failed.list("comparisons")) {
      wrong += row.find("failure") != nullptr;
      CHECK((row.find("failure") != nullptr) == !row.find("right")->boolean().value());
    }
    CHECK(wrong == 1 && failed.list("comparisons").size() == 10 && !failed.all_right());

    cuda::bench::measure_engine(options, path, cuda::bench::seconds_since_1970() - 1, report);
    const json::Array& rows = report.list("engine");
    CHECK(rows.size() == 14);
    int goals = 0;
    for (const json::Value& row : rows) {
      check(row.find("value")->number() > 0, __FILE__, __LINE__, json::text(row));
      goals += row.find("goal") != nullptr;
    }
    CHECK(goals == 9);
    CHECK(rows[0].find("value")->number() > 1);  // counted from the time that was passed
  }
  CHECK(fake_cuda().live() == 0);
  std::filesystem::remove(path);
}

}  // namespace sdxl::test
