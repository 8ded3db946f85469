// Results of runs, kept in a file as they come, so that neither a crash nor a time limit takes away what was there before.
#pragma once

#include <cmath>
#include <string>

#include "core/json.h"

namespace sdxl::cuda::bench {

// Null for what is no number or infinite, which JSON has no words for.
inline json::Value number(double value) { return std::isfinite(value) ? json::Value(json::Value::Variant(value)) : json::Value(); }
inline json::Value string(const std::string& text) { return json::Value(json::Value::Variant(text)); }
inline json::Value boolean(bool value) { return json::Value(json::Value::Variant(value)); }

class Report {
 public:
  // Goes on with what the file holds, if it is there; "": nothing is kept in a file.
  explicit Report(std::string path = {});

  void set(const std::string& name, json::Value value);
  // A row of a list, in place of an earlier one of the same name.
  void add(const std::string& list, json::Object row);
  // The same, and whether all is right: `row` says so as "right".
  void add_checked(const std::string& list, json::Object row, bool right);

  bool all_right() const { return all_right_; }  // of this run
  const json::Array& list(const std::string& name) const;
  const json::Value& value() const { return value_; }

 private:
  void save() const;

  std::string path_;
  json::Value value_{json::Value::Variant(json::Object())};
  bool all_right_ = true;
};

// The last table: what was measured beside what is wanted, and what was wrong.
void print_summary(const Report& report);

}  // namespace sdxl::cuda::bench
