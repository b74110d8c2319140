#include "worker/weights/signal_stack.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>

namespace tessera {
namespace {

constexpr size_t kStackBytes = 64 << 10;

// Belongs to one thread and goes with it.
class SignalStack {
 public:
  SignalStack() {
    stack_t current = {};
    if (sigaltstack(nullptr, &current) != 0 || (current.ss_flags & SS_DISABLE) == 0) return;
    void* const memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return;
    const stack_t stack = {.ss_sp = memory, .ss_flags = 0, .ss_size = kStackBytes};
    if (sigaltstack(&stack, nullptr) == 0) {
      memory_ = memory;
    } else {
      munmap(memory, kStackBytes);
    }
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;
  ~SignalStack() {
    if (memory_ == nullptr) return;
    const stack_t none = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    sigaltstack(&none, nullptr);
    munmap(memory_, kStackBytes);
  }

 private:
  void* memory_ = nullptr;  // null: the thread had a stack, or gets none
};

}  // namespace

void GiveSignalStacks() {
  const auto give = [](void*) { static thread_local const SignalStack stack; };
  give(nullptr);
  // The entry of an OpenMP region, as compilers call it. ATen computes by LibTorch's OpenMP, which
  // this code is neither compiled nor linked with, on a team of threads that belongs to the caller.
  using Parallel = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
  static const auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  if (parallel != nullptr) parallel(give, nullptr, static_cast<unsigned>(at::get_num_threads()), 0);
}

}  // namespace tessera
