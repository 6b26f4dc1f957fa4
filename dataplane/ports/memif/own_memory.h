// The client role's memory: one region that weir makes, with rings first and their buffers
// behind. The server maps it and may write all of it.
#pragma once

#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/ports/memif/link.h"

namespace weir::dataplane::memif {

struct MemoryPlan {
  uint8_t receive_rings = 1;
  uint8_t send_rings = 1;
  uint8_t log2_ring = 10;
  uint16_t buffer = 2048;  // bytes
  bool huge = false;       // on hugetlbfs when there is enough: the server must be trusted

  uint64_t bytes() const noexcept;
};

struct OwnMemory {
  Region region;
  api::Fd fd;  // to hand over
  std::vector<RingPlace> receive;
  std::vector<RingPlace> send;
};

// Sealed against every change of its size and of its seals; rings have their cookies.
Result<OwnMemory> make_memory(const MemoryPlan& plan);

}  // namespace weir::dataplane::memif
