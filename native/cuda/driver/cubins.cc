#include "cuda/driver/cubins.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "core/error.h"
#include "core/mapped_file.h"
#include "kernels_stamp.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace sdxl::cuda {

namespace {

// The file that holds this function: the addon, or a program.
std::filesystem::path own_file() {
#ifdef _WIN32
  HMODULE module = nullptr;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, reinterpret_cast<LPCWSTR>(&own_file), &module);
  std::wstring path(32768, L'\0');
  path.resize(GetModuleFileNameW(module, path.data(), DWORD(path.size())));
  return path;
#else
  Dl_info info{};
  dladdr(reinterpret_cast<void*>(&own_file), &info);
  return info.dli_fname ? info.dli_fname : "";
#endif
}

// "gemm.sm_90a.cubin" → "sm_90a"; none for other names.
std::string architecture_of(const std::string& name) {
  constexpr std::string_view kEnd = ".cubin";
  const size_t dot = name.find(".sm_");
  if (dot == std::string::npos || !name.ends_with(kEnd)) return {};
  return name.substr(dot + 1, name.size() - kEnd.size() - dot - 1);
}

struct Parsed {
  Capability capability;
  bool exact;  // "sm_90a": for this capability alone
};

Parsed parse(const std::string& architecture) {
  int number = 0;
  const char *begin = architecture.data() + 3, *end = architecture.data() + architecture.size();
  const char* rest = std::from_chars(begin, end, number).ptr;
  return {{number / 10, number % 10}, rest != end};
}

Error unavailable(const std::string& message, const std::string& folder) {
  return Error(Code::device_unavailable, message, {{"device", "cuda"}, {"path", folder}});
}

}  // namespace

std::string Cubins::default_folder() {
  const char* const named = std::getenv("NODE_SDXL_CUDA_KERNELS");
  return named && *named ? named : utf8_path(own_file().parent_path() / "cuda");
}

std::string_view Cubins::stamp() { return SDXL_KERNELS_STAMP; }

void Cubins::check_stamp() const {
  std::ifstream in(system_path(folder_) / "kernels.stamp");
  std::string found;
  in >> found;
  if (found != stamp())
    throw unavailable("the CUDA kernels in \"" + folder_ + "\" were made from other sources than this build: run npm run build and npm run build:cuda",
                      folder_);
}

Cubins::Cubins(std::string folder) : folder_(std::move(folder)) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(system_path(folder_), failed)) {
    const std::string architecture = architecture_of(utf8_path(entry.path().filename()));
    if (!architecture.empty() && std::find(architectures_.begin(), architectures_.end(), architecture) == architectures_.end())
      architectures_.push_back(architecture);
  }
  std::sort(architectures_.begin(), architectures_.end());
}

const std::string& Cubins::architecture_for(Capability wanted) const {
  if (architectures_.empty())
    throw unavailable("there are no CUDA kernels in \"" + folder_ + "\": this build was made without them (npm run build:cuda makes them)", folder_);
  check_stamp();
  const std::string* best = nullptr;
  int best_minor = -1;
  for (const std::string& architecture : architectures_) {
    const auto [found, exact] = parse(architecture);
    if (found.major != wanted.major || found.minor > wanted.minor || (exact && found.minor != wanted.minor)) continue;
    const int rank = 2 * found.minor + exact;  // between the two kinds of one capability, the one made for it
    if (rank <= best_minor) continue;
    best = &architecture;
    best_minor = rank;
  }
  if (best) return *best;
  std::string all;
  for (const std::string& architecture : architectures_) all += (all.empty() ? "" : ", ") + architecture;
  throw unavailable("no kernels for a GPU of compute capability " + wanted.text() + ": there are " + all, folder_);
}

std::vector<char> Cubins::read(const std::string& file, const std::string& architecture) const {
  const std::string name = file + "." + architecture + ".cubin";
  std::ifstream in(system_path(folder_) / name, std::ios::binary);
  if (!in) throw unavailable("the CUDA kernels in \"" + folder_ + "\" are incomplete: " + name + " is missing", folder_);
  std::vector<char> cubin{std::istreambuf_iterator<char>(in), {}};
  check_stamp();  // afterwards: another build may be replacing the folder, and places the stamp last
  return cubin;
}

}  // namespace sdxl::cuda
