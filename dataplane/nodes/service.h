// New connections to services: picks a backend, records the connection and translates its
// first packet. What is sent to an address of services but to none of them goes where it
// would go without them.
// Sources: Kubernetes' service semantics (kube-proxy); RFC 792, RFC 4443 3.1 (refusals).
#pragma once

#include "dataplane/core/stage.h"
#include "dataplane/nodes/translation.h"
#include "dataplane/tables/connection_table.h"
#include "dataplane/tables/service_table.h"

namespace weir::dataplane {

struct ServiceStage {
  static constexpr Next kNext = Next::service;
  static constexpr Next kUsual = Next::route;
  static Next classify(Packet& packet, StageContext& context) noexcept;

 private:
  static Next not_served(Packet& packet, StageContext& context) noexcept;
  static Next no_backend(Packet& packet, const FrontendView& frontend, bool inside) noexcept;
  static BackendId choose(const FrontendView& frontend, const Balance& balance, const FlowKey& key,
                          const StageContext& context) noexcept;
  static Next connect(Packet& packet, const FrontendView& frontend, NewConnection& wanted,
                      StageContext& context) noexcept;
  static void keep_affinity(const FrontendView& frontend, const NewConnection& made,
                            const StageContext& context) noexcept;
};

}  // namespace weir::dataplane
