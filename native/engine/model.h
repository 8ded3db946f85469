// A loaded model: its parts, packed for one device, and what can be asked of it. Everything here runs on the engine's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/device.h"
#include "engine/loras.h"
#include "engine/offload.h"
#include "engine/parts.h"
#include "engine/preview.h"
#include "engine/prompt.h"
#include "engine/prompt_schedule.h"
#include "engine/refiner.h"
#include "engine/sampler.h"
#include "engine/taesd.h"

namespace sdxl::engine {

using CancelFlag = std::atomic<bool>;

struct LoadRequest {
  std::string path, vae;                               // vae: another file or folder for that part, or ""
  std::string text_encoder = {}, text_encoder_2 = {};  // likewise
  std::string taesd = {};                              // a file or folder for previews, or ""
  std::string refiner = {};                            // a file or folder, or ""
  std::string prediction = {};                         // "epsilon" or "v" whatever the checkpoint says; "": what it says
  std::string device;                                  // see DeviceRequest
  std::string precision;                               // "auto", "fp32", "fp16", "bf16"
  std::vector<std::string> embeddings = {};            // files; their tokens are numbered from Clip::kFirstAdded in this order
  int threads = 0;                                     // 0: the CPUs this process may use
  int64_t memory_budget = 0;                           // bytes of weights and activations together on the device, 0: no limit
  std::string offload = {};                            // where the device has memory of its own: "" or "none", or see weight_room
  std::function<void(const char* phase, int64_t loaded, int64_t total)> progress;
};

struct ModelInfo {
  std::string path, family, prediction, device, precision, backend, reason, resolution, title;
  std::vector<std::string> markers;                                 // see weights::Checkpoint
  int64_t unet = 0, text_encoder = 0, text_encoder_2 = 0, vae = 0;  // parameters
  int64_t latent_channels = 0, scale = 0;                           // scale: pixels per latent
  int64_t in_channels = 0;                                          // what the UNet reads: the latents, and what inpainting models read beside them
  bool has_refiner = false, has_taesd = false;                      // has_taesd: one that decodes, as the VAE or beside it
  int64_t context_width = 0, pooled_width = 0;
  int64_t weight_bytes = 0;         // on the device
  std::vector<int64_t> embeddings;  // vectors of each
};

// From one call on the refiner predicts. LoRAs do not act on it.
struct RefinerRequest {
  int from = 0;                  // the first call that is its own
  std::vector<Prompt> prompts;   // which its branches count
  std::vector<Branch> branches;  // prompts and weights for all calls of the plan, of which those before `from` are not looked at
  std::vector<float> sizes;      // five for each branch: original (height, width), crop (top, left), aesthetic score
};

struct GenerateRequest {
  std::vector<Prompt> prompts;   // distinct texts, which the branches count
  std::vector<Branch> branches;  // unconditional first, where there is one
  LoraRequest loras;
  Plan plan;
  int64_t height = 0, width = 0;  // latents
  std::vector<uint64_t> seeds;    // one per picture
  Rng rng = Rng::philox;
  std::vector<float> start;            // [pictures, channels, height, width], or empty: drawn from the seeds
  std::optional<Variation> variation;  // of the noise that is drawn
  std::vector<float> init;             // [1 or pictures, channels, height, width], scaled: what the start noise is added to; or empty
  std::vector<float> mask;             // [height, width], for the plan's masked writes, 1 where terms hold and 0 where those outside do; or empty
  std::vector<float> extra;            // [1 or pictures, in_channels − channels, height, width], for networks that read more than latents
  double rescale = 0;                  // of guidance; see Sampling
  std::optional<Projection> projection;
  std::optional<RefinerRequest> refiner;
  bool decodes = true;       // false: the result is the latents
  std::vector<float> sizes;  // original, crop, target; (height, width) each
  model::Tiling tiling = {};
  PreviewRequest preview = {};
  std::function<void(int index, double sigma, double milliseconds)> on_step;
  // Behind on_step, for each picture of the run: `picture` counts them.
  std::function<void(int step, int picture, int64_t height, int64_t width, std::vector<uint8_t> rgb)> on_preview = {};
  std::function<void(int index, std::vector<uint8_t> rgb)> on_image;
};

struct GenerateResult {
  double loras = 0, encode = 0, denoise = 0, decode = 0;  // milliseconds
  std::vector<Warning> warnings;
  std::vector<float> latents;  // [pictures, channels, height, width], scaled; empty where they were decoded
};

struct PredictRequest {
  std::vector<float> latents;  // [count, in_channels, height, width]
  int64_t count = 0, height = 0, width = 0;
  double timestep = 0;
  std::vector<float> context, pooled;  // [prompts, tokens, width], [prompts, width]
  int64_t prompts = 0, tokens = 0;
  std::vector<float> sizes;
  LoraRequest loras;
  model::Tiling tiling = {};
};

struct DecodeRequest {
  std::vector<float> latents = {};  // [count, channels, height, width], scaled
  int64_t count = 0, height = 0, width = 0;
  int64_t tile = 0;  // see engine::decode
  model::Tiling tiling = {};
  bool as_floats = false;
};

// One of the two, as the request says.
struct Decoded {
  std::vector<float> pixels;  // [3, height, width], about −1 … 1
  std::vector<uint8_t> rgb;   // [height, width, 3]
};

struct EncodeImageRequest {
  Picture picture;
  int64_t tile = 0;  // see engine::encode
  model::Tiling tiling = {};
};

class Model {
 public:
  Model(const LoadRequest& request, const CancelFlag& cancelled);
  // On a device that is open already.
  Model(const LoadRequest& request, const CancelFlag& cancelled, Device device);

  const ModelInfo& info() const { return info_; }
  const PromptCache& prompt_cache() const { return prompt_cache_; }
  int64_t peak_bytes() const;  // weights and the most activations held so far

  Conditioning encode_prompt(const Prompt& prompt, const LoraRequest& loras, const CancelFlag& cancelled);
  GenerateResult generate(const GenerateRequest& request, const CancelFlag& cancelled);
  std::vector<float> predict(const PredictRequest& request, const CancelFlag& cancelled);
  // One picture after the other.
  void decode(const DecodeRequest& request, const CancelFlag& cancelled, const std::function<void(int64_t index, Decoded)>& each);
  // Mean of the posterior, scaled: [channels, height / scale, width / scale].
  std::vector<float> encode_image(const EncodeImageRequest& request, const CancelFlag& cancelled);

 private:
  int64_t pack(const LoadRequest& request, const ModelFormats& formats, const CancelFlag& cancelled);
  int64_t small_bytes(const PackedParts& parts) const;
  void require_budget(const LoadRequest& request, const PackedParts& parts) const;
  std::string advice() const;  // for those who find too little memory on the device
  // Divides the device's memory between weights and all else.
  void share_memory(const LoadRequest& request, const PackedParts& parts);
  std::vector<Conditioning> encode_all(const model::Run& run, const TextEncoders& encoders, const std::vector<Prompt>& prompts, std::vector<Warning>& warnings);
  Array denoise(const model::Run& run, const GenerateRequest& request, const std::vector<Conditioning>& conditionings,
                const std::vector<Conditioning>& refiner_conditionings);
  TextEncoders text_encoders() const { return {parts_.text_encoder.get(), *parts_.text_encoder_2, loras_->text_state()}; }
  Coder coder() const { return {*parts_.vae, latent_scale_}; }
  // Throws Error(invalid_argument) where the model cannot make such previews.
  void require_preview(const PreviewRequest& request) const;
  Array preview(const model::Run& run, PreviewMethod method, ConstTensor denoised) const;

  ModelInfo info_;
  std::unique_ptr<ops::Backend> backend_;  // outlives the parts, whose arrays lie in its arena
  weights::Checkpoint checkpoint_;
  Parts parts_;
  std::unique_ptr<Refiner> refiner_;     // null: none
  std::unique_ptr<model::Taesd> taesd_;  // null: none beside the VAE
  std::unique_ptr<Loras> loras_;
  SparePrompts spares_;
  PromptCache prompt_cache_;
  Prediction prediction_ = Prediction::epsilon;
  bool offloads_ = false;          // weights take turns on the device
  int64_t beside_arena_ = 0;       // bytes of the device's memory that weights take
  double latent_scale_ = 0.13025;  // SDXL's; a Diffusers folder may say otherwise
};

}  // namespace sdxl::engine
