// What uplinks and their neighbours say to find each other: ARP (RFC 826) and neighbour
// discovery (RFC 4861). Questions are made here; their answers' validity is checked by the
// arp and nd stages before they are read here.
#pragma once

#include <optional>

#include "dataplane/api/net.h"
#include "dataplane/core/packet.h"

namespace weir::dataplane {

// Who asks: an uplink's own addresses.
struct Asker {
  MacAddress mac;
  IpAddress address4;
  IpAddress address6;
};

// An Ethernet frame that asks for the MAC of `target`, to everybody or to `known` alone. It has
// Family::none, so a port sends it as it is.
void make_question(const Asker& asker, const IpAddress& target, const MacAddress* known, Packet& packet);

// What a neighbour says of itself.
struct Announcement {
  IpAddress address;
  MacAddress mac;
  bool answer = false;  // to a question of ours; else unasked, perhaps for everybody
};

// Reads an ARP packet or a neighbour advertisement that the stages passed on; nullopt when it
// says nothing that may be believed (no or a multicast MAC address).
std::optional<Announcement> read_announcement(const Packet& packet);

}  // namespace weir::dataplane
