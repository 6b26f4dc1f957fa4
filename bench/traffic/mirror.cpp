#include "bench/traffic/mirror.h"

#include <x86intrin.h>

#include <algorithm>
#include <cstring>

#include "bench/traffic/core.h"

namespace weir::bench {

namespace {

constexpr uint16_t kBurst = 64;

uint16_t waiting(uint16_t& index, uint16_t mine) noexcept {
  // acquire: the frames or buffers behind the index are there.
  return static_cast<uint16_t>(std::atomic_ref(index).load(std::memory_order_acquire) - mine);
}
void publish(uint16_t& index, uint16_t value) noexcept {
  std::atomic_ref(index).store(value, std::memory_order_release);  // after what it announces
}

}  // namespace

void Mirror::round() noexcept {
  const uint16_t count =
      std::min({waiting(from_.header->head, taken_), waiting(to_.header->head, given_), kBurst});
  if (count == 0) return _mm_pause();
  for (uint16_t i = 0; i < count; ++i) {
    const memif::Descriptor& source = from_.slot(static_cast<uint16_t>(taken_ + i));
    memif::Descriptor& target = to_.slot(static_cast<uint16_t>(given_ + i));
    const uint32_t bytes = std::min(source.length, limit_);
    std::memcpy(to_.memory + target.offset, from_.memory + source.offset, bytes);
    target.length = source.length;
  }
  taken_ = static_cast<uint16_t>(taken_ + count);
  given_ = static_cast<uint16_t>(given_ + count);
  publish(from_.header->tail, taken_);
  publish(to_.header->tail, given_);
}

void Mirror::run(unsigned core, const std::stop_token& stop) noexcept {
  claim_core(core, true);
  from_.header->flags = memif::kRingMaskInterrupt;
  while (!stop.stop_requested()) round();
}

}  // namespace weir::bench
