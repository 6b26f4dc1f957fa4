// The one loop that runs stages over a vector of packets. It alone touches batches,
// prefetch, cycles and trace; stages stay classifiers of one packet.
#pragma once

#include <x86intrin.h>

#include <array>
#include <cstdint>

#include "dataplane/core/counters.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

// Indices into the vector's packets that wait for one stage.
struct StageQueue {
  std::array<uint8_t, kVectorSize> index;
  uint8_t count = 0;
};

struct StageCounters {
  Counter packets;
  Counter vectors;
  Counter cycles;
};

// Called for every step of a traced vector. Main use: weirctl trace.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void step(const Packet& packet, size_t packet_index, Next stage, Next verdict) noexcept = 0;
};

struct Vector {
  std::array<Packet, kVectorSize> packets;
  std::array<StageQueue, static_cast<size_t>(Next::count)> queues{};
  uint16_t count = 0;

  StageQueue& queue(Next next) noexcept { return queues[static_cast<size_t>(next)]; }
  void enqueue(Next next, uint8_t index) noexcept {
    StageQueue& q = queue(next);
    q.index[q.count++] = index;
  }
};

// Runs stage S over what waits for it. Every packet is in one queue at a time, so a
// queue never holds more than the vector.
template <Stage S, bool Traced>
void run_stage(Vector& vector, StageContext& context, StageCounters& counters, TraceSink* trace) noexcept {
  StageQueue& queue = vector.queue(S::kNext);
  const uint8_t count = queue.count;
  if (count == 0) return;
  queue.count = 0;
  const uint64_t start = __rdtsc();
  for (uint8_t i = 0; i < count; ++i) {
    const uint8_t index = queue.index[i];
    Packet& packet = vector.packets[index];
    const Next next = S::classify(packet, context);
    if constexpr (Traced) trace->step(packet, index, S::kNext, next);
    vector.enqueue(next, index);
  }
  counters.packets.add(count);
  counters.vectors.add(1);
  counters.cycles.add(__rdtsc() - start);
}

}  // namespace weir::dataplane
