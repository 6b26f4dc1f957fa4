// The one loop that runs stages over a vector of packets. It alone touches batches,
// prefetch, cycles and trace; stages stay classifiers of one packet.
#pragma once

#include <x86intrin.h>

#include <array>
#include <cstdint>
#include <numeric>
#include <span>

#include "dataplane/core/counters.h"
#include "dataplane/core/stage.h"

namespace weir::dataplane {

// Indices into the vector's packets that wait for one stage.
struct StageQueue {
  std::array<uint8_t, kVectorSize> index;
  uint8_t count = 0;

  std::span<uint8_t> waiting() noexcept { return {index.data(), count}; }
};

struct StageCounters {
  Counter packets;
  Counter vectors;
  Counter cycles;
};
// One entry a stage, by Next; the worker itself counts tx.
using PipelineCounters = std::array<StageCounters, kStageCount>;

// Called for every step of a traced vector. Main use: weirctl trace.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void step(const Packet& packet, size_t packet_index, Next stage,
                    Next verdict) noexcept = 0;
};

inline constexpr std::array<uint8_t, kVectorSize> kAllPackets = [] {
  std::array<uint8_t, kVectorSize> all{};
  std::iota(all.begin(), all.end(), uint8_t{0});
  return all;
}();

struct Vector {
  std::array<Packet, kVectorSize> packets;
  std::array<StageQueue, static_cast<size_t>(Next::count)> queues{};
  uint16_t count = 0;

  StageQueue& queue(Next next) noexcept { return queues[static_cast<size_t>(next)]; }
  void enqueue(Next next, uint8_t index) noexcept {
    StageQueue& q = queue(next);
    q.index[q.count++] = index;
  }
  // Puts the first `packets` packets before the first stage. The queues must be empty.
  void start(uint16_t packets_received) noexcept {
    count = packets_received;
    queue(Next::express) = {.index = kAllPackets, .count = static_cast<uint8_t>(count)};
  }
};

// Counts why a packet was dropped, at the port it came from, and clears the reason: the
// one place where drops become counters. tx uses it for frames that a port refused.
inline void count_drop(Packet& packet, const StageContext& context) noexcept {
  // acquire: pairs with the publication of the port
  PortCounterBlock* blocks = context.ports[packet.in_port].counters.load(std::memory_order_acquire);
  if (blocks != nullptr) blocks[context.worker].drop(packet.drop);
  packet.drop = Drop::count;
}

// Takes the packets that stages dropped out of the vector.
inline void settle(Vector& vector, const StageContext& context) noexcept {
  StageQueue& queue = vector.queue(Next::drop);
  for (const uint8_t index : queue.waiting()) count_drop(vector.packets[index], context);
  queue.count = 0;
}

// A stage that looks something up for all its packets at once before it classifies them.
template <class S>
concept BatchStage = requires(Packet* packets, std::span<const uint8_t> waiting,
                              StageContext& context) {
  { S::prepare(packets, waiting, context) } noexcept;
};

// A batch stage that most packets are none of the business of: they go on unseen, to kPast.
// sift() returns those that stay, at the front of what waited, and calls pass(index) for others.
template <class S>
concept SiftingStage = requires(Packet* packets, std::span<uint8_t> waiting, StageContext& context,
                                void (*pass)(uint8_t)) {
  { S::kPast } -> std::convertible_to<Next>;
  { S::sift(packets, waiting, context, pass) } noexcept -> std::same_as<std::span<const uint8_t>>;
};

// What is left of `waiting` for S::classify(), after what S does for all at once.
template <Stage S>
std::span<const uint8_t> begin_stage(Vector& vector, std::span<uint8_t> waiting,
                                     StageContext& context) noexcept {
  if constexpr (BatchStage<S>) S::prepare(vector.packets.data(), waiting, context);
  if constexpr (SiftingStage<S>) {
    StageQueue& past = vector.queue(S::kPast);
    uint8_t* end = past.index.data() + past.count;
    const auto kept = S::sift(vector.packets.data(), waiting, context,
                              [&](uint8_t index) { *end++ = index; });
    past.count = static_cast<uint8_t>(end - past.index.data());
    return kept;
  } else {
    return waiting;
  }
}

// Runs stage S over what waits for it. Every packet is in one queue at a time, so a
// queue never holds more than the vector. `clock`: TSC now, in and out, so that stages
// that follow each other share a reading.
template <Stage S, bool Traced>
void run_stage(Vector& vector, StageContext& context, PipelineCounters& counters, TraceSink* trace,
               uint64_t& clock) noexcept {
  StageQueue& queue = vector.queue(S::kNext);
  if (queue.count == 0) return;
  // A stage never sends to itself, so the indices stay while the queue is emptied.
  const std::span<uint8_t> waiting = queue.waiting();
  queue.count = 0;
  const std::span<const uint8_t> left = begin_stage<S>(vector, waiting, context);
  // Most packets take the stage's usual way out: its count stays in a register.
  StageQueue& usual = vector.queue(S::kUsual);
  uint8_t usual_count = usual.count;
  for (const uint8_t index : left) {
    Packet& packet = vector.packets[index];
    const Next next = S::classify(packet, context);
    if constexpr (Traced) trace->step(packet, index, S::kNext, next);
    // What left icmp_error for route is a new packet; the one that caused it was dropped.
    if constexpr (S::kNext == Next::icmp_error) {
      if (next != Next::drop) count_drop(packet, context);
    }
    if (next == S::kUsual) [[likely]] {
      usual.index[usual_count++] = index;
    } else {
      vector.enqueue(next, index);
    }
  }
  usual.count = usual_count;
  StageCounters& mine = counters[static_cast<size_t>(S::kNext)];
  const uint64_t end = __rdtsc();
  mine.packets.add(waiting.size());
  mine.vectors.add(1);
  mine.cycles.add(end - clock);
  clock = end;
}

// Runs all stages over the packets that wait for the first. Afterwards each packet is in
// queue(Next::tx) or queue(Next::drop); the caller sends the first, settle()s the second.
// trace: used when Traced, may be nullptr otherwise. Defined in nodes/graph.cpp.
template <bool Traced>
void run_pipeline(Vector& vector, StageContext& context, PipelineCounters& counters,
                  TraceSink* trace) noexcept;
extern template void run_pipeline<false>(Vector&, StageContext&, PipelineCounters&,
                                         TraceSink*) noexcept;
extern template void run_pipeline<true>(Vector&, StageContext&, PipelineCounters&,
                                        TraceSink*) noexcept;

}  // namespace weir::dataplane
