#include "cuda/emulator/fiber.h"

#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves what a called function must preserve, keeps the stack pointer in *save and continues where `next` was saved. The library's
// swapcontext would do, but for a system call each time.
extern "C" void sdxl_switch_stack(void** save, void* next);
#if defined(__APPLE__)
#define SDXL_SYMBOL "_sdxl_switch_stack"
#else
#define SDXL_SYMBOL "sdxl_switch_stack"
#endif
#if defined(__x86_64__)
constexpr size_t kSaved = 6;  // registers on the stack, then the address to return to
asm(".text\n.globl " SDXL_SYMBOL "\n" SDXL_SYMBOL
    ":\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
#elif defined(__aarch64__)
constexpr size_t kSaved = 20;
asm(".text\n.globl " SDXL_SYMBOL "\n" SDXL_SYMBOL
    ":\n"
    "sub sp, sp, #160\n"
    "stp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\nstp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\n"
    "stp d8, d9, [sp, #80]\nstp d10, d11, [sp, #96]\nstp d12, d13, [sp, #112]\nstp d14, d15, [sp, #128]\nstp x29, x30, [sp, #144]\n"
    "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
    "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\nldp x27, x28, [sp, #64]\n"
    "ldp d8, d9, [sp, #80]\nldp d10, d11, [sp, #96]\nldp d12, d13, [sp, #112]\nldp d14, d15, [sp, #128]\nldp x29, x30, [sp, #144]\n"
    "add sp, sp, #160\nret\n");
#else
#error "The emulator needs a stack switch for this processor"
#endif

namespace sdxl::emulator {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStack = 512 << 10;  // sanitized frames are large
#else
constexpr size_t kStack = 64 << 10;
#endif

thread_local Fiber* starting = nullptr;

}  // namespace

Fiber::Fiber() : stack_(new char[kStack]) {}

Fiber::~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_.get(), kStack);
#endif
}

void Fiber::restart(void (*entry)()) {
  entry_ = entry;
  fake_stack_ = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_.get(), kStack);
#endif
  // As if `first` had been called and were about to run: its argument comes through `starting`.
  const uintptr_t top = (reinterpret_cast<uintptr_t>(stack_.get()) + kStack) & ~uintptr_t(15);
  void** slot = reinterpret_cast<void**>(top) - 2;
#if defined(__x86_64__)
  slot[1] = nullptr;  // what `first` would return to
  slot[0] = reinterpret_cast<void*>(+[] { Fiber::first(starting); });
  slot -= kSaved;
  std::memset(slot, 0, kSaved * sizeof(void*));
#else
  slot -= kSaved;
  std::memset(slot, 0, kSaved * sizeof(void*));
  slot[kSaved - 1] = reinterpret_cast<void*>(+[] { Fiber::first(starting); });
#endif
  stack_pointer_ = slot;
}

void Fiber::first(Fiber* self) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->host_stack_, &self->host_stack_bytes_);
#endif
  self->entry_();
}

void Fiber::resume() {
  starting = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&host_fake_stack_, stack_.get(), kStack);
#endif
  sdxl_switch_stack(&host_pointer_, stack_pointer_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(host_fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::suspend() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fake_stack_, host_stack_, host_stack_bytes_);
#endif
  sdxl_switch_stack(&stack_pointer_, host_pointer_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &host_stack_, &host_stack_bytes_);
#endif
}

}  // namespace sdxl::emulator
