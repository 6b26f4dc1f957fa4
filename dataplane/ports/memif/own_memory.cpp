#include "dataplane/ports/memif/own_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace weir::dataplane::memif {

namespace {

constexpr uint64_t kHugePage = 2ULL << 20;


// A server that punches a hole into a hugetlb file can make us die of SIGBUS when the
// node's huge pages run out; into another file it loses its own packets alone.
Result<OwnMemory> make_region(uint64_t bytes, bool huge) {
  OwnMemory memory;
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB : 0);
  memory.fd.reset(memfd_create("weir-memif", flags));
  if (!memory.fd || ftruncate(memory.fd.get(), static_cast<off_t>(bytes)) != 0 ||
      fcntl(memory.fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return errno_error("cannot make the memif's memory", errno);
  }
  Result<Region> region = Region::map(memory.fd.get(), bytes, huge);
  if (!region) return region.error();
  memory.region = std::move(*region);
  return memory;
}

void place_rings(const MemoryPlan& plan, OwnMemory& memory) {
  const uint64_t buffers = uint64_t{buffer_stride(plan.buffer)} << plan.log2_ring;
  const unsigned rings = plan.send_rings + plan.receive_rings;
  for (unsigned i = 0; i < rings; ++i) {
    const RingPlace place{
        .offset = static_cast<uint32_t>(i * ring_bytes(plan.log2_ring)),
        .log2_size = plan.log2_ring,
        .buffers = static_cast<uint32_t>(rings * ring_bytes(plan.log2_ring) + i * buffers)};
    auto* header = reinterpret_cast<RingHeader*>(memory.region.base() + place.offset);
    // relaxed: the message with the descriptor publishes it
    std::atomic_ref(header->cookie).store(kCookie, std::memory_order_relaxed);
    (i < plan.send_rings ? memory.send : memory.receive).push_back(place);
  }
}

}  // namespace

uint64_t MemoryPlan::bytes() const noexcept {
  const uint64_t rings = uint64_t{send_rings} + receive_rings;
  return rings * (ring_bytes(log2_ring) + (uint64_t{buffer_stride(buffer)} << log2_ring));
}

Result<OwnMemory> make_memory(const MemoryPlan& plan) {
  Result<OwnMemory> memory =
      plan.huge ? make_region(round_up(plan.bytes(), kHugePage), true) : Error{};
  if (!memory) memory = make_region(plan.bytes(), false);
  if (memory) place_rings(plan, *memory);
  return memory;
}

}  // namespace weir::dataplane::memif
