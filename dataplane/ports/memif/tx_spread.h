// Spreads a batch over transmit queues by flow, so that each flow keeps its order.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <span>

#include "dataplane/core/flow_hash.h"

namespace weir::dataplane::memif {

// Calls send(queue, packets, drops) once for each queue that gets packets of a vector, and
// puts what became of them back in the batch's order. Returns how many were sent.
template <class Send>
uint16_t spread(std::span<Packet* const> packets, uint8_t queues, Drop* drops, Send send) noexcept {
  uint16_t sent = 0;
  for (size_t first = 0; first < packets.size(); first += kVectorSize) {
    const auto part = packets.subspan(first, std::min<size_t>(kVectorSize, packets.size() - first));
    std::array<uint8_t, kVectorSize> queue_of;
    uint32_t left = 0;
    for (size_t i = 0; i < part.size(); ++i) {
      queue_of[i] = static_cast<uint8_t>(uint64_t{flow_hash(*part[i])} * queues >> 32);
      left |= 1U << queue_of[i];
    }
    for (; left != 0; left &= left - 1) {
      const auto queue = static_cast<uint8_t>(std::countr_zero(left));
      std::array<Packet*, kVectorSize> run;
      std::array<uint8_t, kVectorSize> place;
      std::array<Drop, kVectorSize> refused;
      uint8_t length = 0;
      for (size_t i = 0; i < part.size(); ++i) {
        if (queue_of[i] != queue) continue;
        run[length] = part[i];
        refused[length] = drops[first + i];
        place[length++] = static_cast<uint8_t>(i);
      }
      sent =
          static_cast<uint16_t>(sent + send(queue, std::span(run).first(length), refused.data()));
      for (uint8_t i = 0; i < length; ++i) drops[first + place[i]] = refused[i];
    }
  }
  return sent;
}

}  // namespace weir::dataplane::memif
