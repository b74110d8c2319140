// For builds with ThreadSanitizer, linked into every program that links gRPC. Debian's gRPC, Abseil
// and Protobuf are not instrumented, so ThreadSanitizer sees neither what their locks order nor
// what their atomics do. Here absl::Mutex and absl::CondVar, on which gRPC builds, tell it about
// the first; the suppressions leave out reports about memory that only those libraries touch. Races
// in our own code stay visible.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <link.h>
#include <sanitizer/tsan_interface.h>

#include <algorithm>
#include <atomic>

#include "absl/synchronization/mutex.h"

namespace {

template <typename Function>
Function Real(const char* symbol) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, symbol));
}

// What was done before an operation is started, is known to whoever sees it completed; gRPC hands
// it on by atomics. In the callback API the operation's tag is a functor that gRPC runs on
// completion: it is made to run Completed, which knows the function that was there before. There
// are two.
using Run = void (*)(grpc_completion_queue_functor*, int);
constexpr int kRuns = 4;
std::atomic<Run> runs[kRuns];

template <int kIndex>
void Completed(grpc_completion_queue_functor* tag, int ok) {
  __tsan_acquire(tag);
  runs[kIndex].load(std::memory_order_relaxed)(tag, ok);
}

constexpr Run kCompleted[kRuns] = {Completed<0>, Completed<1>, Completed<2>, Completed<3>};

// Tags of other completion queues are objects, which begin with the address of a table.
bool IsCode(const void* address) {
  const auto in_code = [](dl_phdr_info* module, size_t, void* wanted) {
    for (int i = 0; i < module->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = module->dlpi_phdr[i];
      const uintptr_t begin = module->dlpi_addr + segment.p_vaddr;
      const auto at = reinterpret_cast<uintptr_t>(wanted);
      const bool executable = segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0;
      if (executable && at >= begin && at < begin + segment.p_memsz) return 1;
    }
    return 0;
  };
  return dl_iterate_phdr(in_code, const_cast<void*>(address)) != 0;
}

void Wrap(grpc_completion_queue_functor* tag) {
  if (std::find(kCompleted, kCompleted + kRuns, tag->functor_run) != kCompleted + kRuns) return;
  for (int i = 0; i < kRuns; ++i) {
    Run known = nullptr;
    if (runs[i].compare_exchange_strong(known, tag->functor_run, std::memory_order_relaxed) ||
        known == tag->functor_run) {
      tag->functor_run = kCompleted[i];
      return;
    }
  }
}

}  // namespace

extern "C" grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops,
                                                 size_t operation_count, void* tag,
                                                 void* reserved) {
  static const auto real = Real<decltype(&grpc_call_start_batch)>("grpc_call_start_batch");
  if (tag != nullptr && IsCode(*static_cast<void**>(tag))) {
    Wrap(static_cast<grpc_completion_queue_functor*>(tag));
    __tsan_release(tag);
  }
  return real(call, ops, operation_count, tag, reserved);
}

extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libgrpc.so.29\n"
         "called_from_lib:libgrpc++.so.1.51\n"
         "called_from_lib:libgpr.so.29\n"
         "called_from_lib:libgrpc++_reflection.so.1.51\n"
         "called_from_lib:libprotobuf.so.32\n"
         "called_from_lib:libabsl_cord.so.20220623\n"
         "called_from_lib:libabsl_graphcycles_internal.so.20220623\n"
         "called_from_lib:libabsl_status.so.20220623\n"
         "called_from_lib:libabsl_strings.so.20220623\n"
         "called_from_lib:libabsl_synchronization.so.20220623\n"
         "called_from_lib:libabsl_time.so.20220623\n"
         "called_from_lib:libabsl_time_zone.so.20220623\n"
         // gRPC's own bookkeeping of a call, in its headers; the last of them runs OnDone.
         "race_top:/usr/include/grpcpp/\n"
         "race:Impl::CallOnDone\n";
}

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto real = Real<void (*)(Mutex*)>("_ZN4absl7debian35Mutex4LockEv");
  real(this);
  __tsan_acquire(this);
}

bool Mutex::TryLock() {
  static const auto real = Real<bool (*)(Mutex*)>("_ZN4absl7debian35Mutex7TryLockEv");
  if (!real(this)) return false;
  __tsan_acquire(this);
  return true;
}

void Mutex::Unlock() {
  static const auto real = Real<void (*)(Mutex*)>("_ZN4absl7debian35Mutex6UnlockEv");
  __tsan_release(this);
  real(this);
}

void CondVar::Wait(Mutex* mutex) {
  static const auto real =
      Real<void (*)(CondVar*, Mutex*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  real(this, mutex);
  __tsan_acquire(mutex);
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto real = Real<bool (*)(CondVar*, Mutex*, Time)>(
      "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  __tsan_release(mutex);
  const bool timed_out = real(this, mutex, deadline);
  __tsan_acquire(mutex);
  return timed_out;
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto real = Real<bool (*)(CondVar*, Mutex*, Duration)>(
      "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  __tsan_release(mutex);
  const bool timed_out = real(this, mutex, timeout);
  __tsan_acquire(mutex);
  return timed_out;
}

ABSL_NAMESPACE_END
}  // namespace absl
