// What long work on files is told from outside and tells.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "core/error.h"

namespace sdxl::convert {

struct Job {
  const std::atomic<bool>& cancelled;
  std::function<void(const std::string& phase, int64_t done, int64_t total)> progress;  // bytes; may be empty
  int64_t total = 0, done = 0;

  // Throws Cancelled.
  void check() const {
    if (cancelled) throw Cancelled{};
  }
  void advance(const std::string& phase, int64_t bytes) {
    done += bytes;
    if (progress) progress(phase, done, total);
    check();
  }
};

}  // namespace sdxl::convert
