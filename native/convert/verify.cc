#include "convert/verify.h"

#include <algorithm>
#include <filesystem>

#include "convert/known_hash.h"
#include "convert/sums.h"
#include "convert/values.h"
#include "convert/while_hashing.h"
#include "core/file.h"
#include "core/json.h"
#include "weights/checkpoint.h"
#include "weights/diffusers_folder.h"
#include "weights/safetensors.h"

namespace sdxl::convert {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kPiece = 4 << 20;

int64_t size_of_file(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(system_path(path), error);
  return error ? 0 : int64_t(size);
}

// Names inside the folder, without what is hidden.
std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> names;
  const fs::path root = system_path(folder);
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
    const std::string name = utf8_path(at->path().filename());
    std::error_code ignored;
    if (name.starts_with('.')) at.disable_recursion_pending();
    else if (name != kSums && at->is_regular_file(ignored)) names.push_back(fs::path(at->path().lexically_relative(root)).generic_string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Check {
 public:
  Check(const VerifyRequest& request, const std::atomic<bool>& cancelled) : request_(request), job_{cancelled, request.progress} {}

  Verification run() {
    if (weights::is_folder(request_.path)) {
      check_folder();
    } else {
      job_.total = size_of_file(request_.path);
      result_.sha256 = check_tensors(request_.path);
    }
    if (!request_.sha256.empty() && request_.sha256 != result_.sha256)
      note(request_.path + ": the SHA-256 is " + result_.sha256 + ", wanted is " + request_.sha256);
    if (request_.progress) request_.progress("ready", job_.total, job_.total);
    return std::move(result_);
  }

 private:
  static constexpr size_t kMost = 1000;  // a file of nothing but NaN has as many problems as tensors

  void note(std::string problem) {
    if (result_.problems.size() < kMost) result_.problems.push_back(std::move(problem));
  }
  // Each of the problems that an error lists, or what it says.
  void note(const Error& error) {
    std::string path;
    for (const auto& [name, detail] : error.details) {
      if (const auto* text = std::get_if<std::string>(&detail); text && name == "path") path = *text + ": ";
      if (const auto* list = std::get_if<std::vector<std::string>>(&detail)) {
        for (const std::string& problem : *list) note(path + problem);
        return;
      }
    }
    note(error.message);
  }

  void check_folder() {
    const Sums wanted = read_sums(request_.path);
    std::vector<std::string> names;
    if (wanted.empty()) names = files_below(request_.path);
    for (const auto& [name, sha256] : wanted) {
      std::error_code error;
      if (fs::is_regular_file(system_path(weights::inside(request_.path, name)), error)) names.push_back(name);
      else note(weights::inside(request_.path, name) + ": " + kSums + " lists this file, and it is missing");
    }
    for (const std::string& name : names) job_.total += size_of_file(weights::inside(request_.path, name));

    Sums found;
    bool tensors = false;
    for (const std::string& name : names) {
      const std::string path = weights::inside(request_.path, name);
      const bool holds_tensors = name.ends_with(".safetensors");
      tensors = tensors || holds_tensors;
      found[name] = holds_tensors ? check_tensors(path) : hash_of(path, job_, name);
      if (const auto listed = wanted.find(name); listed != wanted.end() && listed->second != found[name])
        note(path + ": the SHA-256 is " + found[name] + ", " + kSums + " says " + listed->second);
    }
    result_.sha256 = sha256_of(sums_text(found));
    if (!tensors) note(request_.path + ": it holds no safetensors file");
    // What the files are to each other: shards and their index, configurations.
    else if (result_.problems.empty() && found.count("model_index.json")) try {
        weights::open_checkpoint(request_.path);
      } catch (const Error& error) {
        note(error);
      }
  }

  // The SHA-256 of a safetensors file; notes what is wrong with it.
  std::string check_tensors(const std::string& path) {
    weights::Safetensors file;
    try {
      file = weights::open_safetensors(path);
    } catch (const Error& error) {
      if (error.code == Code::model_not_found) throw;
      note(error);
      return hash_of(path, job_, path);
    }
    // Header and tensors follow each other without gaps: the parser has seen to that.
    const std::byte* begin = file.file->bytes().data();
    const std::byte* end = begin + file.file->bytes().size();
    InputFile input(path);
    Sha256 sha;
    const auto read = [&](const std::byte* from, const std::byte* to, DType type, const std::string& name) {
      NonFinite bad;
      for (const std::byte* at = from; at != to;) {
        const std::span part(piece_.data(), size_t(std::min<int64_t>(kPiece, to - at)));
        input.read(at - begin, part);
        NonFinite here;
        while_hashing(sha, part, [&] { here = non_finite(part.data(), type, int64_t(part.size()) / size_of(type)); });
        if (bad.first < 0 && here.first >= 0) bad.first = (at - from) / size_of(type) + here.first;
        bad.nan += here.nan, bad.infinite += here.infinite;
        at += part.size();
        job_.advance(path, int64_t(part.size()));
      }
      if (!bad.none())
        note(path + ": tensor " + json::printable(name) + " holds " + std::to_string(bad.nan) + " NaN and " + std::to_string(bad.infinite) +
             " infinite values, the first at " + std::to_string(bad.first));
    };
    const std::byte* at = begin;
    const auto text_until = [&](const std::byte* to) { read(at, to, DType::u8, ""), at = to; };
    text_until(file.entries.empty() ? end : file.entries.front().data.data());
    for (const auto& entry : file.entries) {
      if (entry.data.empty()) continue;
      const std::byte* next = entry.data.data() + entry.data.size();
      read(at, next, entry.type.value_or(DType::u8), entry.name);
      at = next;
    }
    text_until(end);
    return sha.hex();
  }

  const VerifyRequest& request_;
  Job job_;
  Verification result_;
  std::vector<std::byte> piece_ = std::vector<std::byte>(kPiece);
};

}  // namespace

Verification verify(const VerifyRequest& request, const std::atomic<bool>& cancelled) { return Check(request, cancelled).run(); }

}  // namespace sdxl::convert
