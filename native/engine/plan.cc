#include "engine/plan.h"

#include <algorithm>

namespace sdxl::engine {

bool Plan::reads(int reg) const {
  const auto within = [&](const std::vector<Term>& terms) { return std::any_of(terms.begin(), terms.end(), [&](const Term& t) { return t.reg == reg; }); };
  const auto writes = [&](const Write& w) { return within(w.terms) || within(w.outside); };
  return std::any_of(steps.begin(), steps.end(), [&](const Step& step) {
    return (step.calls_model && within(step.call.input)) || std::any_of(step.writes.begin(), step.writes.end(), writes);
  });
}

bool Plan::masks() const {
  return std::any_of(steps.begin(), steps.end(),
                     [](const Step& step) { return std::any_of(step.writes.begin(), step.writes.end(), [](const Write& w) { return w.masked; }); });
}

int Plan::calls() const {
  return int(std::count_if(steps.begin(), steps.end(), [](const Step& step) { return step.calls_model; }));
}

}  // namespace sdxl::engine
