#include "dataplane/ports/vhost/sigbus_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <utility>

namespace weir::dataplane::vhost {

namespace {

// Written by the main thread, read by the handler. `base` is stored last and cleared first.
struct Slot {
  std::atomic<uintptr_t> base{0};  // 0: free
  std::atomic<uint64_t> size{0};
  std::atomic<std::atomic<bool>*> lost{nullptr};
};

constexpr size_t kSlots = 8192;  // a thousand ports with eight regions each
std::array<Slot, kSlots> slots;
struct sigaction before;

bool replace(const Slot& slot, uintptr_t touched) noexcept {
  const uintptr_t base = slot.base.load(std::memory_order_acquire);  // what was stored before it
  const uint64_t size = slot.size.load(std::memory_order_relaxed);
  if (base == 0 || touched - base >= size) return false;
  slot.lost.load(std::memory_order_relaxed)->store(true, std::memory_order_release);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  // A system call, so it may be made in a handler.
  return mmap(reinterpret_cast<void*>(base), size, PROT_READ | PROT_WRITE, kFlags, -1, 0) !=
         MAP_FAILED;
}

void on_sigbus(int, siginfo_t* info, void*) {
  const int error = errno;
  const auto touched = reinterpret_cast<uintptr_t>(info->si_addr);
  bool replaced = false;
  for (size_t i = 0; i < kSlots && info->si_code > 0 && !replaced; ++i)
    replaced = replace(slots[i], touched);
  // Not ours: whoever handled it before does so when the instruction runs again.
  if (!replaced) sigaction(SIGBUS, &before, nullptr);
  errno = error;
}

bool install() {
  struct sigaction action {};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO;
  return sigaction(SIGBUS, &action, &before) == 0;
}

}  // namespace

Result<SigbusGuard> SigbusGuard::make(std::byte* base, uint64_t size, std::atomic<bool>& lost) {
  static const bool installed = install();
  if (!installed) return {ErrorCode::unavailable, "memory faults of pods cannot be caught"};
  for (size_t i = 0; i < kSlots; ++i) {
    if (slots[i].base.load(std::memory_order_relaxed) != 0) continue;  // own store
    slots[i].size.store(size, std::memory_order_relaxed);  // base publishes these
    slots[i].lost.store(&lost, std::memory_order_relaxed);
    slots[i].base.store(reinterpret_cast<uintptr_t>(base), std::memory_order_release);
    return SigbusGuard(i);
  }
  return {ErrorCode::limit, "vhost-user ports have 8192 memory regions at most"};
}

SigbusGuard& SigbusGuard::operator=(SigbusGuard&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

SigbusGuard::~SigbusGuard() {
  // release: after the last use of the memory
  if (slot_ != kNone) slots[slot_].base.store(0, std::memory_order_release);
}

}  // namespace weir::dataplane::vhost
