// All services that this node knows, from every source, and what they compile to.
//
// A change marks the services it touches; take_changes() compiles these alone, so one
// endpoint among ten thousand services costs one service.
// Thread safety: the control thread.
#pragma once

#include <array>
#include <optional>
#include <set>

#include "control/services/compile.h"
#include "control/services/select.h"

namespace weir::control {

// Where objects come from. A service that two sources describe is the earlier one's;
// endpoints of all sources count.
enum class ServiceSource : uint8_t { operator_given, directory, registration, pods };
inline constexpr size_t kServiceSources = 4;
const char* to_text(ServiceSource source);

class ServiceCatalog {
 public:
  explicit ServiceCatalog(NodeFacts node = {});

  const NodeFacts& node() const noexcept { return node_; }
  void set_node(NodeFacts node);

  // All that a source has: what it had before and does not name now is gone.
  void replace(ServiceSource source, ServiceObjects objects);
  // Adds or replaces single objects.
  void put(ServiceSource source, ServiceObjects objects);
  // The service and the source's slices of it. False: the source has neither.
  bool remove(ServiceSource source, const ObjectName& service);
  bool remove_slice(ServiceSource source, const ObjectName& slice);

  // Its host ports become a service of the source `pods`.
  void set_pod(uint64_t attachment, AttachedPod pod);
  void remove_pod(uint64_t attachment);

  bool dirty() const noexcept { return node_dirty_ || !dirty_.empty(); }
  // What changed since the last call of this or of whole().
  ServicePlan take_changes();
  // Everything, for a replay.
  ServicePlan whole();

  struct Found {
    const Service* service = nullptr;
    ServiceSource source{};
    std::vector<const EndpointSlice*> slices;  // those of pods' labels included
    uint32_t local_ready = 0;                  // as compiled last
  };
  // Valid until the next change. nullopt: there is no such service.
  std::optional<Found> find(const ObjectName& name) const;
  std::vector<ObjectName> names() const;  // of services, slices without one left out
  // The service whose frontend has the key; nullptr when none does.
  const ObjectName* owner(const api::FrontendKey& key) const;
  // As of the last take_changes().
  const std::map<api::FrontendKey, api::Frontend, FrontendKeyLess>& frontends() const noexcept {
    return frontends_;
  }
  const CompiledService* compiled(const ObjectName& name) const;
  // Changes whenever a service, a frontend or the node did; endpoints alone leave it, so
  // that what follows from services need not be looked through for each of them.
  uint64_t shape() const noexcept { return shape_; }

 private:
  using SliceKey = std::pair<ServiceSource, ObjectName>;
  struct Entry {
    std::array<std::optional<Service>, kServiceSources> services;
    std::map<SliceKey, EndpointSlice> slices;
    std::vector<EndpointSlice> selected;  // pods by labels, as compiled last
    CompiledService compiled;

    const Service* service() const noexcept;
    bool empty() const noexcept;
  };

  void put_service(ServiceSource source, Service service);
  void put_slice(ServiceSource source, EndpointSlice slice);
  void touch_selecting(const AttachedPod& pod);
  CompiledService compile_entry(Entry& entry) const;
  void compile_service(const ObjectName& name, ServicePlan& plan,
                       std::set<api::FrontendKey, FrontendKeyLess>& touched);
  void settle_frontends(const std::set<api::FrontendKey, FrontendKeyLess>& touched,
                        ServicePlan& plan);
  void add_node(ServicePlan& plan) const;

  NodeFacts node_;
  std::map<ObjectName, Entry> entries_;
  std::map<SliceKey, ObjectName> slice_services_;  // which entry holds a slice
  AttachedPods pods_;
  std::set<ObjectName> dirty_;
  bool node_dirty_ = true;
  uint64_t shape_ = 1;
  // Who wants a frontend's key; the first by name has it.
  std::map<api::FrontendKey, std::set<ObjectName>, FrontendKeyLess> claims_;
  std::map<api::FrontendKey, api::Frontend, FrontendKeyLess> frontends_;  // of the owners
};

}  // namespace weir::control
