#include "dataplane/neighbor/table.h"

#include <algorithm>

#include "dataplane/core/frame_copy.h"

namespace weir::dataplane {

using api::NeighborPhase;

HeldPacket::HeldPacket(const Packet& packet) : packet_(packet), bytes_(packet.length) {
  copy_frame(bytes_.data(), packet);
}

const Packet& HeldPacket::view() noexcept {
  body_ = {bytes_.data() + packet_.head_length, packet_.length - packet_.head_length};
  packet_.body = &body_;
  packet_.body_count = body_.length > 0 ? 1 : 0;
  return packet_;
}

void NeighborTable::hold(uint64_t port, const IpAddress& address, const Packet& packet, Time now) {
  const auto found = find_or_make(port, address, now);
  if (found == entries_.end()) return events_.drop(packet, Drop::neighbor_table_full);
  Entry& entry = found->second;
  const bool waits = entry.phase == NeighborPhase::incomplete;
  if (waits && (entry.held.size() >= kMaxHeld || held_[port] >= kMaxHeldOnPort)) {
    return events_.drop(packet, Drop::neighbor_held_full);
  }
  entry.held.emplace_back(packet);
  ++held_[port];
  if (waits) return;
  // Its route may have been taken away by another that is gone since.
  events_.changed(port, address, entry.phase, entry.mac);
  resume_held(entry);
}

NeighborTable::Entries::iterator NeighborTable::find_or_make(uint64_t port, const IpAddress& address, Time now) {
  const auto found = entries_.find(address);
  if (found != entries_.end()) {
    if (found->second.port == port) return found;
    forget(found);  // the address is in another uplink's network now
  }
  if (count_[port] >= kMaxNeighbors && !make_room(port)) return entries_.end();
  ++count_[port];
  const auto made = entries_.emplace(address, Entry{.port = port}).first;
  start_asking(address, made->second, NeighborPhase::incomplete, now);
  return made;
}

// Of the neighbours without routes, those that do not answer go first, then who was silent for
// longest. None of those that packets wait for: their questions are open.
bool NeighborTable::make_room(uint64_t port) {
  auto oldest = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    const Entry& one = entry->second;
    if (one.port != port || one.gateway || one.phase == NeighborPhase::incomplete) continue;
    if (one.phase == NeighborPhase::failed) {
      forget(entry);
      return true;
    }
    if (oldest == entries_.end() || one.confirmed < oldest->second.confirmed) oldest = entry;
  }
  if (oldest == entries_.end()) return false;
  forget(oldest);
  return true;
}

void NeighborTable::ask(const IpAddress& address, Entry& entry, Time now) {
  ++entry.questions;
  entry.due = now + kRetry;
  // A probe's last question goes to all: the address may have moved to another MAC.
  const bool alone = entry.phase == NeighborPhase::probing && entry.questions < kQuestions;
  events_.ask(entry.port, address, alone ? &entry.mac : nullptr);
}

void NeighborTable::enter(const IpAddress& address, Entry& entry, NeighborPhase phase) {
  entry.phase = phase;
  events_.changed(entry.port, address, phase, entry.mac);
}

void NeighborTable::start_asking(const IpAddress& address, Entry& entry, NeighborPhase phase, Time now) {
  entry.questions = 0;
  enter(address, entry, phase);
  ask(address, entry, now);
}

void NeighborTable::hear(uint64_t port, const Announcement& said, Time now) {
  const auto found = entries_.find(said.address);
  if (found == entries_.end() || found->second.port != port) return;
  Entry& entry = found->second;
  if (entry.questions > 0 && said.answer) return learn(said.address, entry, said.mac, now);
  // An unasked announcement only makes weir ask, so it alone moves no traffic.
  if (entry.phase == NeighborPhase::reachable && said.mac != entry.mac) {
    entry.questions = kQuestions - 1;
    enter(said.address, entry, NeighborPhase::probing);
    ask(said.address, entry, now);
  } else if (entry.phase == NeighborPhase::failed && entry.questions == 0) {
    entry.questions = 1;
    events_.ask(port, said.address, nullptr);
  }
}

void NeighborTable::learn(const IpAddress& address, Entry& entry, const MacAddress& mac, Time now) {
  entry.mac = mac;
  entry.questions = 0;
  entry.confirmed = now;
  entry.due = now + kReachable;
  enter(address, entry, NeighborPhase::reachable);
  resume_held(entry);
}

// The packets are routed again: to the neighbour, or to an ICMP error where it failed.
void NeighborTable::resume_held(Entry& entry) {
  for (HeldPacket& packet : entry.held) events_.resume(packet);
  held_[entry.port] -= entry.held.size();
  entry.held.clear();
}

void NeighborTable::set_gateways(const std::vector<std::pair<IpAddress, uint64_t>>& gateways, Time now) {
  for (auto& [address, entry] : entries_) entry.gateway = false;
  for (const auto& [address, port] : gateways) {
    const auto entry = find_or_make(port, address, now);
    if (entry != entries_.end()) entry->second.gateway = true;
  }
}

void NeighborTable::tick(Time now) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const bool stays = entry->second.due > now || advance(entry->first, entry->second, now);
    entry = stays ? std::next(entry) : forget(entry);
  }
}

bool NeighborTable::advance(const IpAddress& address, Entry& entry, Time now) {
  switch (entry.phase) {
    case NeighborPhase::reachable: start_asking(address, entry, NeighborPhase::probing, now); return true;
    case NeighborPhase::incomplete:
    case NeighborPhase::probing:
      if (entry.questions < kQuestions) {
        ask(address, entry, now);
        return true;
      }
      fail(address, entry, now);
      return true;
    case NeighborPhase::failed:
      if (!entry.gateway) return false;
      // Packets are refused meanwhile, as nothing says that it is back.
      entry.questions = 0;
      ask(address, entry, now);
      entry.due = now + kFailed;
      return true;
  }
  return false;
}

void NeighborTable::link_changed(uint64_t port, bool up, Time now) {
  for (auto& [address, entry] : entries_) {
    if (entry.port != port) continue;
    if (!up) {
      fail(address, entry, now);
    } else if (entry.gateway) {
      start_asking(address, entry, NeighborPhase::incomplete, now);
    } else {
      entry.due = now;  // forgotten by the next tick, found again by the next packet
    }
  }
}

void NeighborTable::fail(const IpAddress& address, Entry& entry, Time now) {
  entry.due = now + kFailed;
  entry.questions = 0;
  enter(address, entry, NeighborPhase::failed);
  resume_held(entry);
}

NeighborTable::Entries::iterator NeighborTable::forget(Entries::iterator entry) {
  for (HeldPacket& packet : entry->second.held) events_.drop(packet.view(), Drop::neighbor_gone);
  held_[entry->second.port] -= entry->second.held.size();
  --count_[entry->second.port];
  events_.forgotten(entry->first);
  return entries_.erase(entry);
}

void NeighborTable::forget_port(uint64_t port) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    entry = entry->second.port == port ? forget(entry) : std::next(entry);
  }
  count_.erase(port);
  held_.erase(port);
}

std::vector<api::NeighborState> NeighborTable::list(Time now) const {
  std::vector<api::NeighborState> all;
  for (const auto& [address, entry] : entries_) {
    const std::chrono::nanoseconds age = entry.confirmed == Time{} ? std::chrono::nanoseconds(0) : now - entry.confirmed;
    all.push_back({.address = address,
                   .phase = entry.phase,
                   .gateway = entry.gateway,
                   .mac = entry.mac,
                   .held = static_cast<uint32_t>(entry.held.size()),
                   .port_key = entry.port,
                   .age_ns = static_cast<uint64_t>(age.count())});
  }
  return all;
}

}  // namespace weir::dataplane
