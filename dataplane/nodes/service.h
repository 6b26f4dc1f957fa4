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

// What a packet to a service is to open.
struct ServicePick {
  const FrontendView* frontend = nullptr;  // nullptr: the packet is for no service
  NewConnection wanted;
  bool inside = false;    // the client is
  bool affinity = false;  // the backend is where the client went before
};

struct ServiceStage {
  static constexpr Next kNext = Next::service;
  static constexpr Next kUsual = Next::route;
  static Next classify(Packet& packet, StageContext& context) noexcept;

  // Decides, and changes no table. Next::service: `pick.wanted` is to be opened; otherwise
  // where the packet goes, as from classify().
  static Next choose(Packet& packet, const StageContext& context, ServicePick& pick) noexcept;
  // Drop::count when `wanted` could be opened now, or what refuses it; opens nothing.
  // `reverse`: what the backend's answers would be. Main thread.
  static Drop preview(NewConnection& wanted, const StageContext& context,
                      FlowKey& reverse) noexcept;

 private:
  static Next not_served(Packet& packet, const StageContext& context) noexcept;
  static Next no_backend(Packet& packet, const FrontendView& frontend, bool inside) noexcept;
  static BackendId backend_of(ServicePick& pick, const FlowKey& key,
                              const StageContext& context) noexcept;
  static Next connect(Packet& packet, const FrontendView& frontend, NewConnection& wanted,
                      StageContext& context) noexcept;
  static void keep_affinity(const FrontendView& frontend, const NewConnection& made,
                            const StageContext& context) noexcept;
};

}  // namespace weir::dataplane
