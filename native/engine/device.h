// Where a model runs, and in which number formats.
#pragma once

#include <memory>
#include <string>

#include "model/layers.h"
#include "weights/checkpoint.h"

namespace sdxl::engine {

struct DeviceRequest {
  std::string device;         // "auto", "cpu", "cuda" or "cuda:N"
  int threads = 0;            // 0: the CPUs this process may use
  int64_t memory_budget = 0;  // bytes, 0: no limit
};

struct Device {
  std::unique_ptr<ops::Backend> backend;
  std::string id;              // "cpu" or "cuda:N"
  std::string reason;          // why this one
  bool narrow = false;         // computes with 16 bits
  bool bf16_products = false;  // a CPU that multiplies in bf16
};

// Throws Error(device_unavailable) that says what is missing, but for "auto", which then takes the CPU.
Device open_device(const DeviceRequest& request);

// How the parts of a checkpoint are kept on a device.
struct ModelFormats {
  model::Formats unet, text_encoder;
  model::Formats autoencoder;  // small and sensitive
  std::string precision;       // as ModelInfo says it
};

// `precision`: "auto", "fp32", "fp16" or "bf16". On a CPU "auto" is bf16 where there are products of it, else fp32. On a device that computes with 16 bits
// "auto" is fp16, or bf16 where the UNet is stored so, and autoencoders are bf16, whose range SDXL's VAE needs. Throws Error(invalid_argument) for fp32 there.
ModelFormats formats_for(const Device& device, const std::string& precision, const weights::Checkpoint& checkpoint);

}  // namespace sdxl::engine
