// The memory a memif client shares with a link: both sides' mappings, without a socket.
#pragma once

#include <sys/mman.h>

#include <array>
#include <vector>

#include "dataplane/ports/memif/regions.h"
#include "tests/fuzz/ring_model.h"
#include "tests/memif/raw_client.h"

namespace weir::fuzz {

inline constexpr size_t kRegionSize = 16384;  // 16 descriptors reach beyond the longest frame
inline constexpr size_t kRegions = 3;

// Both sides' mappings of the same memory, made once. Regions stand apart from each other
// and from everything else, so that a step over an edge faults.
class SharedMemory {
 public:
  SharedMemory() {
    for (size_t i = 0; i < kRegions; ++i) {
      fds_[i] = dataplane::memif::test::make_memfd(kRegionSize, true);
      void* at = mmap(nullptr, kRegionSize, PROT_READ | PROT_WRITE, MAP_SHARED, fds_[i].get(), 0);
      WEIR_INVARIANT(at != MAP_FAILED);
      memory_.emplace_back(static_cast<std::byte*>(at), kRegionSize);
    }
  }
  Memory memory(size_t regions) {
    for (const auto& region : memory_) std::memset(region.data(), 0, region.size());
    return {memory_.begin(), memory_.begin() + static_cast<ptrdiff_t>(regions)};
  }
  std::vector<dataplane::memif::Region> map(size_t regions) {
    std::vector<dataplane::memif::Region> result;
    for (size_t i = 0; i < regions; ++i) {
      result.push_back(
          std::move(*dataplane::memif::Region::map(fds_[i].get(), kRegionSize, false)));
      fence(result.back().base() + kRegionSize);
      fence(result.back().base() - kFence);
    }
    return result;
  }

 private:
  static constexpr size_t kFence = 4096;
  // What is mapped there already is a fence of before or a region's neighbour; it stays.
  static void fence(std::byte* at) {
    mmap(at, kFence, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  }

  std::array<api::Fd, kRegions> fds_;
  Memory memory_;
};

}  // namespace weir::fuzz
