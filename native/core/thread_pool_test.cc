#include "core/thread_pool.h"

#include <chrono>
#include <set>
#include <stdexcept>

#include "test/check.h"

namespace sdxl {

TEST("thread pool: every index once, for any number of threads") {
  for (const int threads : {0, 1, 2, 3, 8}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == std::max(1, threads));
    for (const int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> hits(static_cast<size_t>(count));
      pool.parallel(count, [&](int64_t i) { ++hits[size_t(i)]; });
      bool once = true;
      for (const auto& h : hits) once &= h == 1;
      CHECK(once);
    }
  }
}

TEST("thread pool: one thread starts none") {
  ThreadPool pool(1);
  std::set<std::thread::id> ids;
  pool.parallel(100, [&](int64_t) { ids.insert(std::this_thread::get_id()); });
  CHECK(ids == std::set{std::this_thread::get_id()});
}

TEST("thread pool: threads do work at the same time") {
  ThreadPool pool(2);
  std::atomic<int> inside{0};
  // Each task waits for the other; a pool that runs them one after the other would run into the deadline.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  pool.parallel(2, [&](int64_t) {
    ++inside;
    while (inside < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  });
  CHECK(inside == 2);
  CHECK(std::chrono::steady_clock::now() < deadline);
}

TEST("thread pool: many tiny jobs, with and without sleep between them") {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  for (int job = 0; job < 20000; ++job) pool.parallel(job % 5, [&](int64_t i) { sum += i + 1; });
  CHECK(sum == 4000 * (0 + 1 + 3 + 6 + 10));
  for (int job = 0; job < 50; ++job) {
    std::this_thread::sleep_for(std::chrono::microseconds(job * 5));
    pool.parallel(4, [&](int64_t) { --sum; });
  }
  CHECK(sum == 80000 - 200);
}

TEST("thread pool: what a job wrote is seen by the next and by the caller") {
  ThreadPool pool(4);
  std::vector<int64_t> values(1000, 0);  // not atomic: the thread sanitizer watches
  for (int64_t round = 0; round < 50; ++round) {
    // Another thread than last time may meet the value, and the caller meets all of them.
    pool.parallel(1000, [&](int64_t i) { values[size_t(i)] += i; });
    for (int64_t& v : values) v += round;
  }
  bool right = true;
  for (int64_t i = 0; i < 1000; ++i) right &= values[size_t(i)] == 50 * i + 49 * 50 / 2;
  CHECK(right);
}

TEST("thread pool: the first exception reaches the caller, no further index begins, the pool lives on") {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    std::atomic<int64_t> begun{0};
    const Error error = ERROR_OF(pool.parallel(1000000, [&](int64_t i) {
      ++begun;
      if (i == 3) throw Error(Code::model_format, "three");
    }));
    CHECK(error.code == Code::model_format && error.message == "three");
    CHECK(begun < 1000000);
    bool other_kind = false;
    try {
      pool.parallel(10, [](int64_t) { throw std::runtime_error("each"); });
    } catch (const std::runtime_error& e) {
      other_kind = std::string(e.what()) == "each";
    }
    CHECK(other_kind);
    std::atomic<int> after{0};
    pool.parallel(10, [&](int64_t) { ++after; });
    CHECK(after == 10);
  }
}

TEST("thread pool: a task may call parallel; its indices run on its own thread") {
  ThreadPool pool(2);
  std::atomic<int> count{0}, foreign{0};
  pool.parallel(8, [&](int64_t) {
    const auto self = std::this_thread::get_id();
    pool.parallel(16, [&](int64_t) {
      ++count;
      foreign += std::this_thread::get_id() != self;
    });
  });
  CHECK(count == 128);
  CHECK(foreign == 0);
}

TEST("thread pool: callers on two threads take turns") {
  ThreadPool pool(2);
  std::atomic<int> count{0};
  const auto loop = [&] {
    for (int i = 0; i < 500; ++i) pool.parallel(4, [&](int64_t) { ++count; });
  };
  std::thread other(loop);
  loop();
  other.join();
  CHECK(count == 4000);
}

TEST("thread pool: pools come and go, used or not") {
  int64_t sum = 0;
  for (int i = 0; i < 200; ++i) {
    ThreadPool pool(1 + i % 4);
    if (i % 2) {
      std::atomic<int64_t> local{0};
      pool.parallel(3, [&](int64_t k) { local += k; });
      sum += local;
    }
  }
  CHECK(sum == 300);
}

}  // namespace sdxl
