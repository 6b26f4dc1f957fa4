#include "dataplane/runtime/trace.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "dataplane/api/codec.h"

namespace weir::dataplane {

namespace {

uint64_t monotonic_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

void TraceRecorder::start(const api::TraceFilter& filter) noexcept {
  filter_ = filter;
  remaining_ = std::min(filter.packets, 1000U);
  settle();
}

void TraceRecorder::received(const Packet& packet, size_t packet_index) noexcept {
  Way& way = ways_[packet_index];
  way.steps = 0;
  way.dropped = false;
  way.wanted = filter_.port_key == 0 || key_of(packet.in_port) == filter_.port_key;
  record(packet, packet_index, "rx", kStageNames[static_cast<size_t>(Next::express)]);
}

void TraceRecorder::step(const Packet& packet, size_t packet_index, Next stage, Next verdict) noexcept {
  const bool dropped = verdict == Next::drop;
  ways_[packet_index].dropped |= dropped || (verdict == Next::icmp_error);
  record(packet, packet_index, kStageNames[static_cast<size_t>(stage)],
         dropped ? info(packet.drop).name : kStageNames[static_cast<size_t>(verdict)]);
}

void TraceRecorder::sent(const Packet& packet, size_t packet_index) noexcept {
  record(packet, packet_index, "tx", "sent");
}

void TraceRecorder::refused(const Packet& packet, size_t packet_index) noexcept {
  if (packet_index < ways_.size()) ways_[packet_index].dropped = true;
  record(packet, packet_index, "tx", info(packet.drop).name);
}

void TraceRecorder::record(const Packet& packet, size_t packet_index, std::string_view stage,
                           std::string_view verdict) noexcept {
  // Pieces and frames of other workers are not in the vector; they have no way to show.
  if (packet_index >= ways_.size()) return;
  Way& way = ways_[packet_index];
  if (!way.wanted || way.steps == way.records.size()) return;
  api::TraceRecord& record = way.records[way.steps];
  record = {};
  record.nanoseconds = monotonic_ns();
  record.worker = worker_;
  record.step = way.steps++;
  record.length = packet.length;
  record.head_length = static_cast<uint16_t>(std::min<size_t>(packet.head_length, record.head.size()));
  record.in_key = key_of(packet.in_port);
  record.out_key = packet.adjacency != 0 ? key_of(packet.out_port) : 0;
  api::set_text(record.stage, stage);
  api::set_text(record.verdict, verdict);
  std::memcpy(record.head.data(), packet.data(), record.head_length);
}

void TraceRecorder::settle() noexcept {
  for (Way& way : ways_) {
    const bool pass = way.wanted && way.steps > 0 && remaining_ > 0 &&
                      (filter_.drops_only == 0 || way.dropped) && records_.write_available() >= way.steps;
    if (pass) {
      for (uint16_t i = 0; i < way.steps; ++i) {
        way.records[i].packet = next_packet_;
        records_.push(way.records[i]);
      }
      ++next_packet_;
      --remaining_;
    }
    way.wanted = false;
  }
}

void TraceRecorder::read(std::vector<api::TraceRecord>& records) {
  records_.consume_all([&records](const api::TraceRecord& record) { records.push_back(record); });
}

uint64_t TraceRecorder::key_of(uint16_t port) const noexcept {
  const PortInfo* info = ports_[port].info.load(std::memory_order_acquire);  // pairs with publication
  return info != nullptr ? info->key : 0;
}

}  // namespace weir::dataplane
