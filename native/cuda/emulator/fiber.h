// A stack that runs until it suspends itself: one thread of an emulated block. The address sanitizer is told of every switch;
// code that runs on fibers is built without the thread sanitizer.
#pragma once

#include <cstddef>
#include <memory>

namespace sdxl::emulator {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next resume() calls entry(), which must not return. Whatever the fiber was doing before is forgotten.
  void restart(void (*entry)());
  // Runs the fiber until it suspends. From the host's stack only.
  void resume();
  // Back to where resume() was called. From the fiber itself only.
  void suspend();

 private:
  static void first(Fiber* self);

  std::unique_ptr<char[]> stack_;
  void* stack_pointer_ = nullptr;
  void* host_pointer_ = nullptr;
  void (*entry_)() = nullptr;
  // For the address sanitizer.
  void* fake_stack_ = nullptr;
  void* host_fake_stack_ = nullptr;
  const void* host_stack_ = nullptr;
  size_t host_stack_bytes_ = 0;
};

}  // namespace sdxl::emulator
