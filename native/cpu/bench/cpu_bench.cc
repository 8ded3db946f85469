// One side of bench/cpu: answers lines on its input with lines on its output.
//
//   cpu_bench f32|bf16 own [instruction set]
//   cpu_bench f32|bf16 onednn library
//
//   (at first)                  ready NAME                or   absent REASON
//   open KIND SCALE SIZES...    ok REMARK                 or   no REASON
//   run                         MILLISECONDS              after a run that is not counted; the median where several fit
//   sample COUNT                values at places spread over the result of a run
//   peak MILLISECONDS           GFLOP/s of the multiply-add units, measured for so long
#include <algorithm>
#include <chrono>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include "cpu/bench/side.h"

namespace sdxl::bench {

namespace {

double milliseconds(Side& side) {
  const auto start = std::chrono::steady_clock::now();
  side.run();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median_of_turn(Side& side) {
  constexpr size_t kMost = 21;
  constexpr double kEnough = 20;  // milliseconds
  side.run();
  std::vector<double> times;
  double all = 0;
  while (times.size() < kMost && all < kEnough) all += times.emplace_back(milliseconds(side));
  std::nth_element(times.begin(), times.begin() + int64_t(times.size() / 2), times.end());
  return times[times.size() / 2];
}

void answer(Side& side, const std::string& line) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  if (word == "open") {
    Case wanted;
    words >> wanted.kind >> wanted.scale;
    for (int64_t size; words >> size;) wanted.sizes.push_back(size);
    try {
      const std::string remark = side.open(wanted);
      std::cout << "ok " << remark << std::endl;
    } catch (const std::exception& e) {
      std::cout << "no " << e.what() << std::endl;
    }
  } else if (word == "run") {
    std::cout << median_of_turn(side) << std::endl;
  } else if (word == "peak") {
    double milliseconds = 0;
    words >> milliseconds;
    std::cout << side.peak(milliseconds) << std::endl;
  } else if (word == "sample") {
    uint64_t count = 0;
    words >> count;
    side.run();
    const std::vector<float> result = side.result();
    for (uint64_t i = 0; i < count && !result.empty(); ++i) std::cout << result[i * 2654435761 % result.size()] << ' ';
    std::cout << std::endl;
  } else {
    throw std::runtime_error("no such request: " + line);
  }
}

std::unique_ptr<Side> make_side(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2) throw std::runtime_error("usage: cpu_bench f32|bf16 own [instruction set] | onednn library");
  const bool bf16 = arguments[0] == "bf16";
  const std::string last = arguments.size() > 2 ? arguments[2] : "";
  return arguments[1] == "onednn" ? make_onednn_side(bf16, last) : make_own_side(bf16, last);
}

}  // namespace

}  // namespace sdxl::bench

int main(int argc, char** argv) {
  std::unique_ptr<sdxl::bench::Side> side;
  try {
    side = sdxl::bench::make_side({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cout << "absent " << e.what() << std::endl;
    return 0;
  }
  try {
    std::cout << "ready " << side->name() << std::endl;
    for (std::string line; std::getline(std::cin, line);) sdxl::bench::answer(*side, line);
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    return 1;
  }
}
