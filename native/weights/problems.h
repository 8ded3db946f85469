// Several faults of one file, reported together: who repairs a file wants to know all of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace sdxl::weights {

class Problems {
 public:
  static constexpr size_t kInMessage = 3, kInDetails = 50;

  void add(std::string text) {
    if (++count_ <= kInDetails) texts_.push_back(std::move(text));
  }
  void add(Problems others) {
    for (std::string& text : others.texts_) add(std::move(text));
    count_ += others.count_ - others.texts_.size();
  }
  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }

  // "path: headline: first; second; third (and 9 more problems)", with path and the first 50 problems in the details.
  Error error(const std::string& path, const std::string& headline) const {
    std::string message = path + ": " + headline;
    for (size_t i = 0; i < texts_.size() && i < kInMessage; ++i) message += (i ? "; " : ": ") + texts_[i];
    if (count_ > kInMessage) message += " (and " + std::to_string(count_ - kInMessage) + " more problems)";
    std::vector<std::string> listed = texts_;
    if (count_ > kInDetails) listed.push_back("and " + std::to_string(count_ - kInDetails) + " more");
    return Error(Code::model_format, std::move(message), {{"path", path}, {"problems", std::move(listed)}});
  }
  void throw_if_any(const std::string& path, const std::string& headline) const {
    if (!empty()) throw error(path, headline);
  }

 private:
  std::vector<std::string> texts_;
  size_t count_ = 0;
};

}  // namespace sdxl::weights
