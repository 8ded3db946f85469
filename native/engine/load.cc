// From a checkpoint to a model that is ready to run. Structure first: nothing is packed before every tensor was found.
#include <algorithm>
#include <atomic>

#include "engine/embedding.h"
#include "engine/model.h"

namespace sdxl::engine {

namespace {

// What a checkpoint has to be for this engine to draw with it.
void require_usable(const std::string& path, const Parts& parts) {
  if (parts.is_refiner())
    throw Error(Code::model_unsupported, path + " is an SDXL refiner, which cannot draw on its own; load a base model, with this one as its refiner",
                {{"path", path}});
  require_complete(path, parts);
  const int64_t in = parts.unet->in_channels(), out = parts.unet->out_channels(), inpainting = 2 * out + 1;
  if (in != out && in != inpainting)
    throw Error(Code::model_unsupported,
                path + ": its UNet reads " + std::to_string(in) + " channels, as editing models do; supported are models that read " + std::to_string(out) +
                    ", or " + std::to_string(inpainting) + " for inpainting",
                {{"path", path}, {"found", in}, {"wanted", std::vector<int64_t>{out, inpainting}}});
  if (parts.unet->size_numbers() != 6) throw Error(Code::model_unsupported, path + ": its UNet is a refiner's; load a base model", {{"path", path}});
}

int64_t bytes_of(const weights::Component& component) {
  int64_t total = 0;
  for (const auto& [name, tensor] : component.tensors) total += tensor.bytes();
  return total;
}

// The refiner's encoder is of the same kind as the second one, so learned tokens mean the same to it.
void add_to_refiner(const LoadRequest& request, const Embedding& embedding, Refiner& refiner) {
  model::Clip& encoder = *refiner.parts.text_encoder_2;
  if (const int64_t width = int64_t(embedding.second.size()) / embedding.vectors; width != encoder.width())
    throw Error(Code::model_unsupported,
                "the embeddings are " + std::to_string(width) + " wide, but the text encoder of the refiner " + request.refiner + " is " +
                    std::to_string(encoder.width()),
                {{"path", request.refiner}, {"found", encoder.width()}, {"wanted", width}});
  encoder.add_tokens(embedding.second);
}

}  // namespace

Model::Model(const LoadRequest& request, const CancelFlag& cancelled)
    : Model(request, cancelled, open_device({request.device, request.threads, request.memory_budget})) {}

Model::Model(const LoadRequest& request, const CancelFlag& cancelled, Device device) : backend_(std::move(device.backend)) {
  checkpoint_ = weights::open_checkpoint(request.path, request.vae, {request.text_encoder, request.text_encoder_2});
  parts_ = build_parts(checkpoint_);
  require_usable(request.path, parts_);
  require_usual_noise(checkpoint_);
  if (!request.prediction.empty()) checkpoint_.prediction = request.prediction;
  prediction_ = prediction_of(checkpoint_);
  if (!request.refiner.empty()) refiner_ = open_refiner(request.refiner, parts_.vae->latent_channels());
  if (!request.taesd.empty()) taesd_ = open_taesd(request.taesd, checkpoint_, *parts_.vae);
  if (checkpoint_.latent_scale > 0) latent_scale_ = checkpoint_.latent_scale;

  std::vector<int64_t> embeddings;
  for (const std::string& path : request.embeddings) {
    const Embedding embedding = read_embedding(path, parts_.text_encoder->width(), parts_.text_encoder_2->width());
    parts_.text_encoder->add_tokens(embedding.first), parts_.text_encoder_2->add_tokens(embedding.second);
    if (refiner_) add_to_refiner(request, embedding, *refiner_);
    embeddings.push_back(embedding.vectors);
  }
  offloads_ = backend_->has_own_memory() && (request.offload == "model" || request.offload == "layers");
  if (offloads_) backend_->offload_weights();
  loras_ = std::make_unique<Loras>(checkpoint_, backend_->arena(), offloads_);
  backend_->arena().on_shortage([this] {
    spares_.clear();
    loras_->drop_unused();
  });
  const ModelFormats formats = formats_for(device, request.precision, checkpoint_);
  const int64_t weight_bytes = pack(request, formats, cancelled);
  // The weights are packed. Unmapping keeps this process safe from whoever truncates the file.
  checkpoint_.files.clear();
  if (refiner_) refiner_->checkpoint.files.clear();

  const auto said = [this](const char* key) {
    const auto found = checkpoint_.metadata.find(key);
    return found == checkpoint_.metadata.end() ? std::string() : found->second;
  };
  info_ = {
      .path = request.path,
      .family = "sdxl",
      .prediction = prediction_ == Prediction::v ? "v" : "epsilon",
      .device = device.id,
      .precision = formats.precision,
      .backend = backend_->name(),
      .reason = device.reason,
      .resolution = said("modelspec.resolution"),
      .title = said("modelspec.title"),
      .markers = checkpoint_.markers,
      .unet = parts_.unet->layers.parameters(),
      .text_encoder = parts_.text_encoder->layers.parameters(),
      .text_encoder_2 = parts_.text_encoder_2->layers.parameters(),
      .vae = parts_.vae->layers.parameters(),
      .latent_channels = parts_.vae->latent_channels(),
      .scale = parts_.vae->scale(),
      .in_channels = parts_.unet->in_channels(),
      .has_refiner = refiner_ != nullptr,
      .has_taesd = taesd_ || parts_.vae->is_scaled(),
      .context_width = parts_.unet->context_width(),
      .pooled_width = parts_.unet->pooled_width(),
      .weight_bytes = weight_bytes,
      .embeddings = std::move(embeddings),
  };
}

// Reads and packs all weights; returns how many bytes of the device's memory they take.
int64_t Model::pack(const LoadRequest& request, const ModelFormats& formats, const CancelFlag& cancelled) {
  struct Phase {
    const char* name;
    const weights::Component& component;
    model::Layers& layers;
    const model::Formats& formats;
  };
  std::vector<Phase> phases = {
      {"text_encoder", checkpoint_.text_encoder, parts_.text_encoder->layers, formats.text_encoder},
      {"text_encoder_2", checkpoint_.text_encoder_2, parts_.text_encoder_2->layers, formats.text_encoder},
      {"unet", checkpoint_.unet, parts_.unet->layers, formats.unet},
      {"vae", checkpoint_.vae, parts_.vae->layers, formats.autoencoder},
  };
  if (taesd_) phases.push_back({"taesd", checkpoint_.taesd, taesd_->layers, formats.autoencoder});
  if (refiner_) {
    phases.push_back({"refiner_text_encoder_2", refiner_->checkpoint.text_encoder_2, refiner_->parts.text_encoder_2->layers, formats.text_encoder});
    phases.push_back({"refiner_unet", refiner_->checkpoint.unet, refiner_->parts.unet->layers, formats.unet});
  }
  int64_t total = 0;
  for (const Phase& phase : phases) total += bytes_of(phase.component);

  PackedParts parts;
  std::atomic<int64_t> loaded = 0;
  for (const Phase& phase : phases) {
    try {
      phase.layers.load(*backend_, phase.formats, [&](int64_t bytes) {
        if (cancelled) throw Cancelled{};
        const int64_t so_far = loaded += bytes;
        if (request.progress) request.progress(phase.name, so_far, total);
      });
    } catch (Error& error) {
      if (error.code == Code::out_of_memory) error.message += advice();
      throw;
    }
    parts.add(phase.layers.bytes());
    if (!offloads_) require_budget(request, parts);
  }
  share_memory(request, parts);
  if (request.progress) request.progress("ready", total, total);
  return beside_arena_ + parts.small;
}

// Of a device's own memory the arena holds whole regions.
int64_t Model::small_bytes(const PackedParts& parts) const { return backend_->has_own_memory() ? int64_t(backend_->arena().reserved()) : parts.small; }

void Model::require_budget(const LoadRequest& request, const PackedParts& parts) const {
  const int64_t wanted = backend_->weight_memory(parts.packed) + small_bytes(parts);
  if (request.memory_budget && wanted > request.memory_budget)
    throw Error(Code::out_of_memory,
                request.path + (refiner_ ? " with its refiner" : "") + " needs more than " + std::to_string(wanted) +
                    " bytes for its weights alone; the memory budget is " + std::to_string(request.memory_budget) + advice(),
                {{"path", request.path}, {"wanted", wanted}, {"limit", request.memory_budget}});
}

std::string Model::advice() const {
  return backend_->has_own_memory() && !offloads_ ? "; memory.offload 'model' or 'layers' keeps weights in the host's memory" : "";
}

void Model::share_memory(const LoadRequest& request, const PackedParts& parts) {
  // Without a budget too there is a limit: a request for a picture that does not fit has to be an error, for what Linux does to a process
  // that takes all memory is not.
  int64_t budget = request.memory_budget ? request.memory_budget : backend_->usable_memory() / 10 * 9;
  const int64_t small = small_bytes(parts);
  if (offloads_) backend_->make_room_for_weights(weight_room(request.offload, parts, budget - small));
  beside_arena_ = backend_->weight_memory(parts.packed);
  if (!request.memory_budget) budget = std::max(budget, beside_arena_ + small);
  // Biases and norms lie in the arena already.
  backend_->arena().set_limit(size_t(std::max<int64_t>(budget - beside_arena_, 1)));
}

}  // namespace sdxl::engine
