#include "cuda/bench/report.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

#include "core/file.h"
#include "core/json_writer.h"

namespace sdxl::cuda::bench {

namespace {

std::string text_of(const json::Value& row, const char* name) {
  const json::Value* value = row.find(name);
  const std::string* text = value ? value->string() : nullptr;
  return text ? *text : "";
}

double number_of(const json::Value& row, const char* name) {
  const json::Value* value = row.find(name);
  return value && value->number() ? *value->number() : NAN;
}

void print_checks(const Report& report, const char* list, const char* title) {
  const json::Array& rows = report.list(list);
  if (rows.empty()) return;
  int right = 0;
  for (const json::Value& row : rows) right += row.find("right") && row.find("right")->boolean().value_or(false);
  std::printf("%-52s %d of %d right\n", title, right, int(rows.size()));
  for (const json::Value& row : rows)
    if (!row.find("right") || !row.find("right")->boolean().value_or(false))
      std::printf("  WRONG: %s %s\n", text_of(row, "name").c_str(), text_of(row, "failure").c_str());
}

void print_goal(const std::string& name, double value, const std::string& unit, double goal, bool at_least) {
  const bool met = at_least ? value >= goal : value <= goal;
  std::printf("%-52s %10.4g %-6s", name.c_str(), value, unit.c_str());
  if (!std::isnan(goal)) std::printf(" %s %-6.4g %s", at_least ? "at least" : "at most ", goal, met ? "met" : "MISSED");
  std::printf("\n");
}

// Of all shapes of a kind, our speed as a share of the library's: the mean, and the lowest with its name.
void print_peers(const Report& report) {
  std::map<std::string, std::vector<std::pair<double, std::string>>> shares;
  for (const json::Value& row : report.list("peers"))
    if (const double share = number_of(row, "share"); share > 0) shares[text_of(row, "op")].push_back({share, text_of(row, "name")});
  for (auto& [op, all] : shares) {
    double sum = 0;
    for (const auto& [share, name] : all) sum += std::log(share);
    const auto& [lowest, name] = *std::min_element(all.begin(), all.end());
    const double goal = op == "attention" ? 80 : 90;
    print_goal(op + " beside the vendor's, geometric mean", 100 * std::exp(sum / double(all.size())), "%", goal, true);
    print_goal("  lowest: " + name, 100 * lowest, "%", goal, true);
  }
}

}  // namespace

Report::Report(std::string path) : path_(std::move(path)) {
  if (std::ifstream file(path_); !path_.empty() && file) value_ = json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
  if (!value_.object()) throw Error(Code::invalid_argument, path_ + " holds no results");
}

void Report::set(const std::string& name, json::Value value) {
  json::set(*value_.object(), name, std::move(value));
  save();
}

void Report::add(const std::string& list, json::Object row) {
  json::Array rows = this->list(list);
  const auto name = text_of(json::Value(row), "name");
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const json::Value& r) { return text_of(r, "name") == name; });
  if (found == rows.end()) rows.emplace_back(std::move(row));
  else *found = json::Value(std::move(row));
  set(list, json::Value(std::move(rows)));
}

void Report::add_checked(const std::string& list, json::Object row, bool right) {
  all_right_ &= right;
  row.push_back({"right", boolean(right)});
  add(list, std::move(row));
}

const json::Array& Report::list(const std::string& name) const {
  static const json::Array kNone;
  const json::Value* found = value_.find(name);
  return found && found->array() ? *found->array() : kNone;
}

void Report::save() const {
  if (path_.empty()) return;
  // A reader, and a process that is ended while it writes, finds the results of before.
  const std::string partial = path_ + ".partial";
  std::ofstream(partial) << json::text(value_);
  if (std::rename(partial.c_str(), path_.c_str()) != 0) throw write_error(path_, errno);
}

void print_summary(const Report& report) {
  std::printf("%s, %s, driver %s, kernels for %s\n", text_of(report.value(), "date").c_str(), text_of(report.value(), "gpu").c_str(),
              text_of(report.value(), "driver").c_str(), text_of(report.value(), "kernels").c_str());
  print_checks(report, "cases", "kernels beside a plain reference");
  print_checks(report, "comparisons", "the engine beside itself on the CPU");
  for (const json::Value& row : report.list("engine")) {
    const json::Value* at_least = row.find("atLeast");
    print_goal(text_of(row, "name"), number_of(row, "value"), text_of(row, "unit"), number_of(row, "goal"), at_least && at_least->boolean().value_or(false));
  }
  print_peers(report);
  for (const json::Value& row : report.list("diffusers")) {
    if (const std::string skipped = text_of(row, "skipped"); !skipped.empty())
      std::printf("%-52s skipped: %s\n", text_of(row, "name").c_str(), skipped.c_str());
    else print_goal(text_of(row, "name"), number_of(row, "value"), text_of(row, "unit"), NAN, false);
  }
  for (const json::Value& row : report.list("skipped")) std::printf("%-52s skipped: %s\n", text_of(row, "name").c_str(), text_of(row, "reason").c_str());
}

}  // namespace sdxl::cuda::bench
