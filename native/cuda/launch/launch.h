// What to launch: computed from pointers and sizes by plain functions, carried out by a stream or by the emulator. So the choice of grid,
// tile and shared memory is tested where there is no GPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <type_traits>

namespace sdxl::cuda {

// Number format of activations; part of every kernel's name.
enum class Element { bf16, fp16 };

constexpr const char* name_of(Element element) { return element == Element::bf16 ? "bf16" : "fp16"; }

struct Grid {
  unsigned x = 1, y = 1, z = 1;
  bool operator==(const Grid&) const = default;
};

// Every kernel takes one structure of parameters, which device and host read from the same header.
class Launch {
 public:
  // `file`: kernels/<file>.cu; `kernel`: a function of extern "C" in it.
  template <class Parameters>
  Launch(std::string file, std::string kernel, Grid grid, unsigned threads, unsigned shared_bytes, const Parameters& parameters)
      : file(std::move(file)), kernel(std::move(kernel)), grid(grid), threads(threads), shared_bytes(shared_bytes), parameter_bytes_(sizeof(Parameters)) {
    static_assert(std::is_trivially_copyable_v<Parameters> && sizeof(Parameters) <= kMost && alignof(Parameters) <= kAlign);
    std::memcpy(parameters_.data(), &parameters, sizeof(Parameters));
  }

  std::string file, kernel;
  Grid grid;
  unsigned threads;       // of a block
  unsigned shared_bytes;  // of dynamic shared memory

  const void* parameters() const { return parameters_.data(); }
  size_t parameter_bytes() const { return parameter_bytes_; }
  template <class Parameters>
  Parameters parameters_as() const {
    Parameters parameters;
    std::memcpy(&parameters, parameters_.data(), sizeof(Parameters));
    return parameters;
  }

 private:
  static constexpr size_t kMost = 1024, kAlign = 64;  // room for some tensor maps of 128 bytes, which are aligned to 64

  alignas(kAlign) std::array<std::byte, kMost> parameters_{};
  size_t parameter_bytes_;
};

}  // namespace sdxl::cuda
