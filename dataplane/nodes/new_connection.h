// What the stages service and masquerade have in common when they open a connection.
#pragma once

#include "dataplane/core/stage.h"
#include "dataplane/nodes/translation.h"
#include "dataplane/tables/connection_table.h"

namespace weir::dataplane {

inline bool is_pod(const PortInfo& port) noexcept {
  return port.kind != api::PortKind::host && port.kind != api::PortKind::uplink;
}

// The other end is to see this address, and a port of the range that masquerades have.
inline void masquerade_as(NewConnection& wanted, const Ip6Bytes& address,
                          const api::ServiceSettings& settings) noexcept {
  wanted.masquerade = address;
  wanted.masquerade_first = settings.masquerade_first_port;
  wanted.masquerade_last = settings.masquerade_last_port;
}

// Why a connection that `owner` wanted is not there.
inline Drop reason_of(ConnectionTable::Outcome outcome, uint16_t owner) noexcept {
  switch (outcome) {
    case ConnectionTable::Outcome::table_full: return Drop::connection_table_full;
    case ConnectionTable::Outcome::over_quota:
      return owner == kNoOwner ? Drop::connection_quota_outside : Drop::connection_quota;
    case ConnectionTable::Outcome::over_host_quota: return Drop::connection_quota_host;
    default: return Drop::connection_no_port;
  }
}

}  // namespace weir::dataplane
