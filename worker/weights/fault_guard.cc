#include "worker/weights/fault_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tessera {
namespace {

constexpr int kSlots = 1024;

// A signal handler can reach static storage only. begin is 0 while the slot's other fields are not
// to be used.
struct Slot {
  std::atomic<bool> taken{false};
  std::atomic<uintptr_t> begin{0};
  std::atomic<size_t> size{0};
  std::atomic<bool> faulted{false};
};
static_assert(std::atomic<uintptr_t>::is_always_lock_free);

std::array<Slot, kSlots> slots;
struct sigaction previous_action;

bool ReplaceByZeros(void* fault) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(fault);
  const uintptr_t in_page = address % static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (Slot& slot : slots) {
    const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    const uintptr_t end = begin + slot.size.load(std::memory_order_acquire);
    // The second look makes sure that begin and size belong together.
    if (begin == 0 || address < begin || address >= end || slot.begin.load() != begin) continue;
    // To the end, not one page: every page after a new end of file would fault too, and each
    // replaced page could become a mapping of its own, of which a process has only some 65,000.
    slot.faulted.store(true);
    return mmap(static_cast<char*>(fault) - in_page, end - address + in_page, PROT_READ,
                MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
  }
  return false;
}

// Async-signal-safe: atomics and system calls only.
void HandleBusError(int signal_number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool handled = info->si_code > 0 && ReplaceByZeros(info->si_addr);
  errno = saved_errno;
  if (handled) return;
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal_number, info, context);
  } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(signal_number);
  } else {
    // Blocked while this handler runs: it strikes on return.
    signal(SIGBUS, SIG_DFL);
    raise(SIGBUS);
  }
}

bool InstallHandler() {
  struct sigaction action = {};
  action.sa_sigaction = HandleBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  return sigaction(SIGBUS, &action, &previous_action) == 0;
}

}  // namespace

absl::StatusOr<FaultGuard> FaultGuard::Protect(const void* begin, size_t size) {
  static const bool installed = InstallHandler();
  if (!installed) return absl::InternalError("cannot install a SIGBUS handler");
  for (int i = 0; i < kSlots; ++i) {
    bool expected = false;
    if (!slots[i].taken.compare_exchange_strong(expected, true)) continue;
    slots[i].faulted.store(false);
    slots[i].size.store(size);
    slots[i].begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
    return FaultGuard(i);
  }
  return absl::ResourceExhaustedError(absl::StrCat("more than ", kSlots, " mapped files"));
}

FaultGuard::~FaultGuard() {
  if (slot_ < 0) return;
  slots[slot_].begin.store(0);
  slots[slot_].taken.store(false);
}

bool FaultGuard::faulted() const { return slots[slot_].faulted.load(); }

}  // namespace tessera
