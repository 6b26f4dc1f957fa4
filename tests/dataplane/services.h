// Services for packet tests: sets them up in a Lab as control would.
#pragma once

#include <initializer_list>

#include "tests/dataplane/lab.h"

namespace weir::dataplane::test {

inline constexpr std::string_view kVip4 = "10.96.0.1";
inline constexpr std::string_view kVip6 = "fd00:96::1";

struct End {
  std::string_view address;
  uint16_t port = 0;
};

struct Fields {
  uint8_t protocol = kProtoUdp;
  api::FrontendKind kind = api::FrontendKind::cluster_ip;
  uint32_t flags = 0;
  uint64_t outside = 0;  // group for clients outside, 0 = the same
  uint64_t source_ranges = 0;
  uint64_t affinity = 0;
  uint32_t affinity_seconds = 0;
};

void set_group(Lab& lab, uint64_t key, std::initializer_list<End> backends);
void set_frontend(Lab& lab, const End& at, uint64_t group, const Fields& fields = {});
void set_prefixes(Lab& lab, uint64_t key, std::initializer_list<const char*> prefixes);
// Masqueraded connections get the gateways' addresses and ports of this range.
void set_masquerade(Lab& lab, uint16_t first_port, uint16_t last_port);

// Pods' packets that leave by the uplink get its address and ports of this range, but for
// 10.0.0.0/8, fd00::/8, 203.0.113.128/25 and 2001:db8:51:5::/64.
void masquerade_uplink(Lab& lab, uint16_t first_port = 2000, uint16_t last_port = 5000);

// VIP:80 alone, as below.
void serve_one(Lab& lab);

// What the service rows are about:
//   VIP:80     pod B's port 8080: UDP, TCP, SCTP, both families
//   VIP:81     nobody            VIP:82   nobody, dropped in silence
//   VIP:83     pod A's port 8080, from where the rows' packets come (hairpin)
//   VIP:84     as 80, for 192.0.2.0/24 alone (UDP)
//   VIP:85     as 80, masqueraded from outside (UDP)
//   VIP:86     192.0.2.9's port 8080, behind the host port (UDP)
//   VIP:8080   pod B's port 8080, which a first fragment of SCTP may keep (SCTP)
//   10.1.0.3:443 and 10.1.0.1:443, addresses of a pod and of the gateway: as 80 (UDP)
// Masqueraded connections come from the gateway's address, port 2000.
void serve(Lab& lab);

}  // namespace weir::dataplane::test
