#include "cuda/launch/latents.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "cuda/kernels/latents_parameters.h"
#include "cuda/launch/flat.h"

namespace sdxl::cuda {

namespace {

unsigned guidance_bytes() { return kImageThreads / 32 * sizeof(float); }

}  // namespace

std::vector<Launch> launches_of(const Combine& op) {
  struct Entry {
    Combine::Term term;
    bool outside;
  };
  std::vector<Entry> left;
  for (const Combine::Term& term : op.terms) left.push_back({term, false});
  for (const Combine::Term& term : op.outside) left.push_back({term, true});
  // y's own values have to be read before the first launch has written over them.
  std::stable_partition(left.begin(), left.end(), [&](const Entry& e) { return e.term.x == op.y; });
  if (left.size() > CombineParameters::kTerms && op.type != DType::f32) throw Error(Code::internal, "too many terms for a sum of 16 bits");

  std::vector<Launch> launches;
  for (size_t first = 0; first == 0 || first < left.size(); first += CombineParameters::kTerms) {
    const auto begin = left.begin() + int64_t(first), end = left.begin() + int64_t(std::min(left.size(), first + CombineParameters::kTerms));
    std::stable_partition(begin, end, [](const Entry& e) { return !e.outside; });
    CombineParameters parameters{.x = {},
                                 .coefficients = {},
                                 .inside = 0,
                                 .outside = 0,
                                 .keep = first > 0,
                                 .channels = int32_t(op.channels),
                                 .mask = op.mask,
                                 .y = op.y,
                                 .count = op.count,
                                 .pixels = op.pixels};
    for (auto e = begin; e != end; ++e) {
      parameters.x[e - begin] = e->term.x;
      parameters.coefficients[e - begin] = e->term.coefficient;
      (e->outside ? parameters.outside : parameters.inside) += 1;
    }
    launches.push_back(flat_launch("combine", std::string("combine_") + kernel_name(op.type), op.count, parameters));
  }
  return launches;
}

Launch launch_of(const Rescale& op) {
  return Launch("guidance", "guidance_rescale", {.x = unsigned(op.images)}, kImageThreads, guidance_bytes(),
                GuidanceParameters{op.like, op.y, op.each, op.share, 0});
}

Launch launch_of(const Project& op) {
  return Launch("guidance", "guidance_project", {.x = unsigned(op.images)}, kImageThreads, guidance_bytes(),
                GuidanceParameters{op.along, op.y, op.each, op.share, op.limit});
}

std::vector<Launch> launches_of(const Noise& op) {
  std::vector<Launch> launches;
  const int64_t images = int64_t(op.seeds.size());
  for (int64_t first = 0; first < images; first += NoiseParameters::kImages) {
    const int64_t some = std::min<int64_t>(images - first, NoiseParameters::kImages), each = op.pixels * op.channels;
    NoiseParameters parameters{.seeds = {}, .draw = op.draw, .y = op.y + first * each, .images = some, .pixels = op.pixels, .channels = op.channels};
    std::copy_n(op.seeds.begin() + first, some, parameters.seeds);
    launches.push_back(flat_launch("noise", "philox_noise", some * each, parameters));
  }
  return launches;
}

Launch launch_of(const Rgb& op) {
  return flat_launch("rgb", std::string("rgb_") + kernel_name(op.type), op.pixels * 3, RgbParameters{op.x, op.y, op.bad, op.pixels, op.stride});
}

}  // namespace sdxl::cuda
