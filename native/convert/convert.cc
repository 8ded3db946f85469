#include "convert/convert.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "convert/folder_files.h"
#include "convert/known_hash.h"
#include "convert/safetensors_writer.h"
#include "convert/sums.h"
#include "convert/target.h"
#include "weights/diffusers_folder.h"

namespace sdxl::convert {

namespace {

namespace fs = std::filesystem;

// In the metadata of what is written: what it was made of, and how. The number is raised when the same source gives other bytes.
constexpr const char* kMark = "node-sdxl.source";
constexpr const char* kVersion = "1";

const char* name_of(TargetType dtype) { return dtype ? sdxl::name_of(*dtype) : "keep"; }

// What single files cannot say, and what they are all taken to mean.
void require_usual(const weights::Checkpoint& checkpoint) {
  const auto refuse = [&](const std::string& what, const std::string& found, const std::string& usual) {
    throw Error(Code::model_unsupported,
                checkpoint.path + ": " + what + " is " + found + "; in a single file, which has no place for it, " + usual + " would be assumed",
                {{"path", checkpoint.path}, {"found", found}, {"wanted", usual}});
  };
  if (checkpoint.latent_scale > 0 && std::abs(checkpoint.latent_scale - 0.13025) > 1e-6)
    refuse("the scaling_factor of vae/config.json", std::to_string(checkpoint.latent_scale), "0.13025");
  if (!checkpoint.activation.empty() && checkpoint.activation != "quick_gelu")
    refuse("the hidden_act of text_encoder/config.json", checkpoint.activation, "quick_gelu");
  if (!checkpoint.activation_2.empty() && checkpoint.activation_2 != "gelu")
    refuse("the hidden_act of text_encoder_2/config.json", checkpoint.activation_2, "gelu");
}

// Putting the result in its place would take the source away.
void require_apart(const ConvertRequest& request) {
  std::error_code error;
  const fs::path from = fs::weakly_canonical(system_path(request.from), error), to = fs::weakly_canonical(system_path(request.to), error);
  const auto [from_rest, to_rest] = std::mismatch(from.begin(), from.end(), to.begin(), to.end());
  if (to_rest != to.end()) return;
  throw Error(Code::invalid_argument,
              "cannot convert " + request.from + " to " + request.to + ": " + (from_rest == from.end() ? "both are the same" : "the source lies in the target"),
              {{"field", "to"}, {"path", request.to}});
}

// A file, or the files of a folder that is a model's.
void require_replaceable(const ConvertRequest& request) {
  std::error_code error;
  const fs::path place = system_path(request.to);
  const bool is_folder = fs::is_directory(place, error);
  std::string problem;
  if (is_folder && !request.folder) problem = "it is a folder, and a single file is to be written";
  else if (!is_folder && request.folder) problem = "it is a file, and a folder is to be written";
  else if (is_folder && !fs::exists(place / "model_index.json", error)) problem = "it is a folder that holds no Diffusers model";
  else if (!request.overwrite) problem = "it exists, and was not made of this source as it is now by these options; give overwrite: true to replace it";
  if (!problem.empty()) throw Error(Code::invalid_argument, "cannot write " + request.to + ": " + problem, {{"field", "to"}, {"path", request.to}});
}

class Conversion {
 public:
  Conversion(const ConvertRequest& request, const std::atomic<bool>& cancelled) : request_(request), job_{cancelled, request.progress} {}

  ConvertResult run() {
    require_apart(request_);
    checkpoint_ = weights::open_checkpoint(request_.from);
    const engine::Parts parts = engine::build_parts(checkpoint_);
    engine::require_complete(request_.from, parts);
    engine::require_usual_noise(checkpoint_);
    if (parts.vae->is_scaled())
      throw Error(Code::model_unsupported, request_.from + " has a TAESD in place of its VAE, and is not converted", {{"path", request_.from}});
    if (!request_.folder) require_usual(checkpoint_);
    sources_.emplace(checkpoint_);
    small_files_ = read_small_files(checkpoint_);
    changed_ = last_change(checkpoint_, small_files_);
    mark_ = source_mark(checkpoint_, *sources_, small_files_,
                        std::string(kVersion) + (request_.folder ? " folder " : " file ") + name_of(request_.dtype) + MergedLoras::mark(request_.loras, job_));
    loras_.emplace(checkpoint_, request_.loras);
    if (is_occupied(request_.to, request_.folder)) {
      if (auto known = existing()) return *known;
      require_replaceable(request_);
    }
    job_.check();

    Target target(request_.to, request_.folder);
    ConvertResult result = write(target, parts);
    if (last_change(checkpoint_, small_files_) != changed_)
      throw Error(Code::model_format, request_.from + " was changed while it was converted", {{"path", request_.from}});
    job_.check();
    if (!target.commit(request_.overwrite)) {
      if (auto known = existing()) return *known;  // another process was faster
      require_replaceable(request_);
    }
    if (!request_.folder) remember_hash(request_.to, result.sha256);
    ready();
    return result;
  }

  std::vector<std::string> remarks() const { return loras_->remarks(); }

 private:
  void ready() {
    if (request_.progress) request_.progress("ready", job_.total, job_.total);
  }

  // What stands in the target's place, if it is what this conversion would give.
  std::optional<ConvertResult> existing() {
    try {
      return request_.folder ? existing_folder() : existing_file();
    } catch (const Error&) {
      return {};  // something else, or damaged
    }
  }

  bool is_newer(const std::string& path) const {
    std::error_code error;
    const auto written = fs::last_write_time(system_path(path), error);
    return !error && written >= changed_;
  }

  std::optional<ConvertResult> existing_file() {
    const weights::Safetensors file = weights::open_safetensors(request_.to);
    const auto found = file.metadata.find(kMark);
    if (found == file.metadata.end() || found->second != mark_ || !is_newer(request_.to)) return {};
    ConvertResult result{.tensors = int64_t(file.entries.size()), .bytes = int64_t(file.file->bytes().size()), .sha256 = known_hash(request_.to)};
    if (result.sha256.empty()) {
      job_.total = result.bytes;
      result.sha256 = hash_of(request_.to, job_, "existing");
      remember_hash(request_.to, result.sha256);
    }
    ready();
    return result;
  }

  std::optional<ConvertResult> existing_folder() {
    const Sums sums = read_sums(request_.to);
    ConvertResult result;
    bool marked = false;
    for (const auto& [name, sha256] : sums) {
      const std::string path = weights::inside(request_.to, name);
      std::error_code error;
      result.bytes += int64_t(fs::file_size(system_path(path), error));
      if (error) return {};
      if (!name.ends_with(".safetensors")) continue;
      const weights::Safetensors file = weights::open_safetensors(path);
      result.tensors += int64_t(file.entries.size());
      const auto found = file.metadata.find(kMark);
      marked = marked || (found != file.metadata.end() && found->second == mark_);
    }
    if (!marked || !is_newer(weights::inside(request_.to, kSums))) return {};
    const std::string text = sums_text(sums);
    result.bytes += int64_t(text.size());
    result.sha256 = sha256_of(text);
    ready();
    return result;
  }

  std::map<std::string, std::string> metadata() const {
    std::map<std::string, std::string> all = checkpoint_.metadata;
    for (const char* stale : {"modelspec.hash_sha256", "sshs_model_hash", "sshs_legacy_hash"}) all.erase(stale);  // of the source's bytes
    all["format"] = "pt";                                                                                         // without it transformers refuses the file
    all[kMark] = mark_;
    return all;
  }

  // Nobody rounds to 8 bits here: what LoRAs change in such a file becomes fp16.
  std::vector<FileTensor> widened(std::vector<FileTensor> tensors) const {
    for (FileTensor& tensor : tensors)
      if (size_of(tensor.dtype) == 1 && std::any_of(tensor.parts.begin(), tensor.parts.end(), [&](const auto* part) { return loras_->changes(*part); }))
        tensor.dtype = DType::f16;
    return tensors;
  }

  // Of data.
  static int64_t bytes_of(const std::vector<FileTensor>& tensors) {
    int64_t bytes = 0;
    for (const FileTensor& tensor : tensors) bytes += tensor.bytes();
    return bytes;
  }

  ConvertResult write(const Target& target, const engine::Parts& parts) {
    try {
      return request_.folder ? write_folder(target, parts) : write_file(target);
    } catch (Error& error) {
      // The caller knows the target by its own name only.
      const auto rename = [&](std::string& text) {
        if (const size_t at = text.find(target.temporary()); at != std::string::npos) text.replace(at, target.temporary().size(), request_.to);
      };
      rename(error.message);
      for (auto& [name, detail] : error.details)
        if (auto* text = std::get_if<std::string>(&detail)) rename(*text);
      throw;
    }
  }

  ConvertResult write_file(const Target& target) {
    const std::vector<FileTensor> tensors = widened(single_file_tensors(checkpoint_, request_.dtype));
    job_.total = bytes_of(tensors);
    target.require_space(job_.total + int64_t(safetensors_header(tensors, metadata()).size()));
    const WrittenFile file = SafetensorsWriter(*sources_, *loras_, job_).write(target.temporary(), tensors, metadata());
    return {.tensors = int64_t(tensors.size()), .bytes = file.bytes, .sha256 = file.sha256};
  }

  ConvertResult write_folder(const Target& target, const engine::Parts& parts) {
    struct Weights {
      std::string name;
      std::vector<FileTensor> tensors;
      std::map<std::string, std::string> metadata;
    };
    std::vector<Weights> files;
    const auto add = [&](const weights::Component& component, const char* file) {
      if (component.tensors.empty()) return;
      Weights& weights = files.emplace_back(Weights{component.name + "/" + file, widened(component_tensors(component, request_.dtype)), {{"format", "pt"}}});
      if (component.name == "unet") weights.metadata = metadata();
      job_.total += bytes_of(weights.tensors);
    };
    add(checkpoint_.unet, "diffusion_pytorch_model.safetensors");
    add(checkpoint_.text_encoder, "model.safetensors");
    add(checkpoint_.text_encoder_2, "model.safetensors");
    add(checkpoint_.vae, "diffusion_pytorch_model.safetensors");

    const Texts texts = folder_texts(checkpoint_, parts, small_files_, request_.dtype, std::string(MappedFile(request_.merges).text()));
    int64_t bytes = job_.total;
    for (const Weights& file : files) bytes += int64_t(safetensors_header(file.tensors, file.metadata).size());
    for (const auto& [name, text] : texts) bytes += int64_t(text.size());
    target.require_space(bytes);

    ConvertResult result;
    Sums sums;
    const auto place = [&](const std::string& name) {
      const std::string path = weights::inside(target.temporary(), name);
      std::error_code error;
      fs::create_directories(system_path(path).parent_path(), error);
      return path;
    };
    const auto written = [&](const std::string& name, const WrittenFile& file) { result.bytes += file.bytes, sums[name] = file.sha256; };
    for (const Weights& file : files) {
      written(file.name, SafetensorsWriter(*sources_, *loras_, job_).write(place(file.name), file.tensors, file.metadata));
      result.tensors += int64_t(file.tensors.size());
    }
    for (const auto& [name, text] : texts) written(name, write_text(place(name), text));
    const WrittenFile list = write_text(place(kSums), sums_text(sums));
    for (const auto& [name, sha256] : sums) sync_folder(utf8_path(system_path(place(name)).parent_path()));
    sync_folder(target.temporary());
    result.bytes += list.bytes, result.sha256 = list.sha256;
    return result;
  }

  const ConvertRequest& request_;
  Job job_;
  weights::Checkpoint checkpoint_;
  std::optional<SourceFiles> sources_;
  std::optional<MergedLoras> loras_;
  Texts small_files_;
  fs::file_time_type changed_;
  std::string mark_;
};

}  // namespace

ConvertResult convert(const ConvertRequest& request, const std::atomic<bool>& cancelled) {
  Conversion conversion(request, cancelled);
  ConvertResult result = conversion.run();
  result.remarks = conversion.remarks();
  return result;
}

}  // namespace sdxl::convert
