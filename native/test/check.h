// A test harness in one header: TEST registers a function, CHECK counts and reports, run_tests() is main.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"

namespace sdxl::test {

struct Case {
  const char* name;
  std::function<void()> body;
};
inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
inline int failures = 0, checks = 0;

struct Register {
  Register(const char* name, std::function<void()> body) { cases().push_back({name, std::move(body)}); }
};

inline void check(bool ok, const char* file, int line, const std::string& what) {
  ++checks;
  if (ok) return;
  ++failures;
  std::printf("%s:%d: failed: %s\n", file, line, what.c_str());
}

// The Error that `body` throws; a failed check and an empty Error when it throws none.
inline Error error_of(const std::function<void()>& body, const char* file, int line) {
  try {
    body();
  } catch (const Error& e) {
    ++checks;
    return e;
  }
  check(false, file, line, "expected an Error");
  return Error(Code::internal, "");
}

// Runs the cases whose name contains argv[1], or all.
inline int run_tests(int argc, char** argv) {
  int ran = 0;
  for (const Case& c : cases()) {
    if (argc > 1 && !std::strstr(c.name, argv[1])) continue;
    ++ran;
    try {
      c.body();
    } catch (const std::exception& e) {
      check(false, c.name, 0, std::string("threw ") + e.what());
    }
  }
  std::printf("%d cases, %d checks, %d failures\n", ran, checks, failures);
  return failures || ran == 0 || checks == 0;
}

}  // namespace sdxl::test

#define SDXL_JOIN_(a, b) a##b
#define SDXL_JOIN(a, b) SDXL_JOIN_(a, b)
#define TEST(name)                                                                                    \
  static void SDXL_JOIN(test_, __LINE__)();                                                           \
  static const sdxl::test::Register SDXL_JOIN(register_, __LINE__)(name, SDXL_JOIN(test_, __LINE__)); \
  static void SDXL_JOIN(test_, __LINE__)()
#define CHECK(condition) sdxl::test::check((condition), __FILE__, __LINE__, #condition)
#define CHECK_NEAR(a, b, tolerance)                                                     \
  sdxl::test::check(std::abs(double(a) - double(b)) <= (tolerance), __FILE__, __LINE__, \
                    std::string(#a " ≈ " #b ": ") + std::to_string(double(a)) + " and " + std::to_string(double(b)))
#define ERROR_OF(expression) sdxl::test::error_of([&] { expression; }, __FILE__, __LINE__)
