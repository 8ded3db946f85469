// A whole SDXL checkpoint of reproducible values, for machines with a GPU and nothing else: the bytes that tools/synthesize-checkpoint.mjs writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sdxl::cuda::bench {

struct CheckpointSpec {
  const char* name;
  std::vector<int64_t> channels;  // of the UNet's levels
  int64_t resnets;                // of each level on the way down; one more on the way up
  std::vector<int64_t> depths;    // of the levels' transformers; the middle has the last one's
  struct Text {
    int64_t width, layers, mlp;
  } text, text_2;
  int64_t projection;
  std::vector<int64_t> vae_channels;
  int64_t vae_resnets;
  int64_t period;  // a tensor's values repeat after so many; 0: never
};

CheckpointSpec full_spec();      // SDXL base
CheckpointSpec smallest_spec();  // for the emulator

// One file in fp16 with the names of the SGM code. Returns its bytes. Throws Error(invalid_argument) where it cannot be written.
int64_t write_checkpoint(const CheckpointSpec& spec, const std::string& path, int threads);

}  // namespace sdxl::cuda::bench
