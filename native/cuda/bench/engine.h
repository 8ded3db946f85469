// Whole models on a GPU: right beside the same on the CPU, and how long each stage of a picture takes.
#pragma once

#include <string>

#include "cuda/bench/suite.h"
#include "engine/model.h"

namespace sdxl::cuda::bench {

inline const engine::CancelFlag kRunning = false;

// A device to load a model on.
engine::Device open_gpu(const Options& options);
engine::LoadRequest load_request(const std::string& path, const std::string& device, const std::string& precision);

// `number`: every prompt has other tokens, so that no encoding is a remembered one.
engine::Prompt prompt_of(int number);

struct Pictures {
  int steps;
  bool guided;            // two items a step
  int64_t height, width;  // latents
  int prompt;             // see prompt_of
  int count = 1;          // at once
};
// Euler from σ = 14.6 on, from seeds of 1 on.
engine::GenerateRequest request_of(const Pictures& pictures);

// Into the list "comparisons". `tiny`: a small model of real weights, or "".
void compare_models(const Options& options, const std::string& checkpoint, const std::string& tiny, Report& report);

// Into the list "engine". `since`: when the process was started, in seconds since 1970.
void measure_engine(const Options& options, const std::string& checkpoint, double since, Report& report);

double seconds_since_1970();

}  // namespace sdxl::cuda::bench
