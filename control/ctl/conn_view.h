// How translated connections look. Fixed records in, text or JSON out.
#pragma once

#include <span>
#include <string>

#include "control/ctl/port_view.h"

namespace weir::ctl {

std::string_view to_string(api::ConnectionPhase phase) noexcept;
// "tcp", "udp", "sctp", "icmp", "icmpv6", or the number of another protocol.
std::string protocol_name(uint8_t protocol);
// Of "tcp", "udp" and "sctp"; 0 for any other text.
uint8_t protocol_number(std::string_view name) noexcept;
// "10.1.0.2:80", "[fd00::2]:80".
std::string endpoint_text(const api::FrontendKey& end);

std::string connections_text(std::span<const api::ConnectionState> connections,
                             const PortNames& names);
Json connections_json(std::span<const api::ConnectionState> connections, const PortNames& names);

std::string connection_stats_text(const api::ConnectionStats& stats);
Json connection_stats_json(const api::ConnectionStats& stats);

}  // namespace weir::ctl
