// Survives a peer that takes the pages of shared memory away.
//
// virtio-user and QEMU without seals share memory whose file they can truncate, or that lies
// on hugetlbfs and runs out of pages: a touch is then a SIGBUS, which would end the process.
// The guard's handler puts zero pages there and tells who owns the memory; the instruction
// then goes on. Any other SIGBUS ends the process as before.
//
// Thread safety: guards are made and destroyed by the main thread, when no other thread uses
// the memory; the handler runs on whatever thread touched it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/api/error.h"

namespace weir::dataplane::vhost {

class SigbusGuard {
 public:
  SigbusGuard() = default;
  // Of `size` mapped bytes, both multiples of the page size. `lost` outlives the guard; it is
  // set before the thread that met the SIGBUS goes on. Error limit: 8192 guards are there.
  static Result<SigbusGuard> make(std::byte* base, uint64_t size, std::atomic<bool>& lost);
  SigbusGuard(SigbusGuard&& other) noexcept : slot_(other.slot_) { other.slot_ = kNone; }
  SigbusGuard& operator=(SigbusGuard&& other) noexcept;
  ~SigbusGuard();

 private:
  static constexpr size_t kNone = SIZE_MAX;
  explicit SigbusGuard(size_t slot) : slot_(slot) {}

  size_t slot_ = kNone;
};

}  // namespace weir::dataplane::vhost
