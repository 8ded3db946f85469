// What the emulator reports: a mistake of a kernel, with the block and thread that made it.
#pragma once

#include <stdexcept>
#include <string>

namespace sdxl::emulator {

enum class Mistake {
  bounds,         // global or shared memory beyond what there is
  alignment,      // an access that is not aligned to its size
  uninitialized,  // shared memory that nothing wrote
  race,           // two threads without a barrier between them, one of them writing
  pending_copy,   // shared memory that an asynchronous copy may still be writing
  unfinished,     // a block that ends before its copies and products have
  arrivals,       // more arrivals at a counting barrier than it expects
  divergence,     // lanes of a warp in different operations
  deadlock,       // a barrier or warp operation that not all threads reach
  launch          // grid, threads, shared memory or parameters that the kernel cannot have
};

class Fault : public std::runtime_error {
 public:
  Fault(Mistake mistake, const std::string& what) : std::runtime_error(what), mistake(mistake) {}
  Mistake mistake;
};

}  // namespace sdxl::emulator
