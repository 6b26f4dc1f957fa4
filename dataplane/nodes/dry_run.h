// What would become of a packet that nobody sends: takes it through the decisions that the
// stages make, on the live tables, and changes none of them. Limits of bandwidth and of ICMP
// errors are left out, as they depend on the moment.
// Threads: main thread; it frees tables, so they stay while it looks.
#pragma once

#include "dataplane/api/path.h"
#include "dataplane/core/stage.h"
#include "dataplane/tables/service_table.h"

namespace weir::dataplane {

struct DryRun {
  api::PathEnd end = api::PathEnd::dropped;
  api::PathChoice choice = api::PathChoice::none;
  uint32_t flags = 0;                      // api::kPath*
  Drop drop = Drop::count;                 // with rejected and dropped
  IcmpCause icmp;                          // with rejected
  const FrontendView* frontend = nullptr;  // that the packet or its connection is aimed at
  FlowKey sent;
  FlowKey leaves;
  uint16_t masquerade_first = 0;  // as in api::PathTrace
  uint16_t masquerade_last = 0;
  uint16_t out_port = kNoPort;
  MacAddress next_hop;
  uint16_t mtu = 0;
  IcmpCause larger;  // what a sender of larger packets is told

  static constexpr uint16_t kNoPort = 0xffff;
};

// `sent`: the packet; its protocol is TCP (a SYN), UDP, SCTP, or ICMP of the family (an echo
// request). `context`: tables, ports and clock; connections may be nullptr.
DryRun dry_run(const FlowKey& sent, uint16_t in_port, const StageContext& context) noexcept;

}  // namespace weir::dataplane
