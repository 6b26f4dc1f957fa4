// Services as workers see them.
//
// Thread safety: read by workers at any time; a pointer loaded here is good until the
// worker's next quiescent report. Written by the main thread, which publishes whole new
// objects and retires the old ones.
#pragma once

#include <algorithm>
#include <atomic>
#include <tuple>

#include "dataplane/api/service.h"
#include "dataplane/tables/flow_key.h"
#include "dataplane/tables/maglev.h"
#include "dataplane/tables/prefix_set.h"

namespace weir::dataplane {

// The backends of a group at one time. Immutable.
struct Balance {
  struct Place {
    BackendAddress at;
    BackendId id = kNoBackend;
  };
  std::vector<Place> places;  // by address and port
  Maglev maglev;

  // Whom a client of this backend is to have here: the same address and port, else the same
  // address (a frontend for another port of the same pods); kNoBackend when it has left.
  BackendId like(const BackendAddress& wanted) const noexcept {
    const auto before = [](const Place& place, const BackendAddress& address) {
      return std::tie(place.at.address, place.at.port) < std::tie(address.address, address.port);
    };
    auto found = std::ranges::lower_bound(places, wanted.address, {},
                                          [](const Place& place) { return place.at.address; });
    if (found == places.end() || found->at.address != wanted.address) return kNoBackend;
    const auto exact = std::lower_bound(found, places.end(), wanted, before);
    const bool is_exact = exact != places.end() && exact->at.address == wanted.address &&
                          exact->at.port == wanted.port;
    return is_exact ? exact->id : found->id;
  }
};

class BackendGroup {
 public:
  // acquire: pairs with publish(); never nullptr
  const Balance& balance() const noexcept { return *balance_.load(std::memory_order_acquire); }
  // kNoBackend when nobody is usable. `hash`: FlowKey::hash() with the usual seed, so that a flow
  // finds the same backend after a restart.
  BackendId pick(uint64_t hash) const noexcept { return balance().maglev.pick(hash); }

  // Main thread. Returns what it replaces; retire it.
  const Balance* publish(const Balance* balance) noexcept {
    return balance_.exchange(balance, std::memory_order_acq_rel);
  }

 private:
  std::atomic<const Balance*> balance_{nullptr};
};

// A set of networks that is replaced as a whole.
class NetworkSet {
 public:
  // acquire: pairs with publish(); never nullptr
  const PrefixSet& networks() const noexcept { return *networks_.load(std::memory_order_acquire); }
  bool contains(Family family, const Ip6Bytes& address) const noexcept {
    return networks().contains(family, address);
  }
  // Main thread. Returns what it replaces; retire it.
  const PrefixSet* publish(const PrefixSet* networks) noexcept {
    return networks_.exchange(networks, std::memory_order_acq_rel);
  }

 private:
  std::atomic<const PrefixSet*> networks_{nullptr};
};

// Immutable; a changed frontend is a new object.
struct FrontendView {
  Ip6Bytes address{};
  uint16_t port = 0;  // wire order
  uint8_t protocol = 0;
  Family family = Family::none;
  api::FrontendKind kind = api::FrontendKind::none;
  uint32_t flags = 0;  // api::kFrontend*
  const BackendGroup* inside = nullptr;
  const BackendGroup* outside = nullptr;
  const NetworkSet* source_ranges = nullptr;  // nullptr = all clients
  uint64_t affinity = 0;
  uint32_t affinity_seconds = 0;

  const BackendGroup& group(bool client_is_inside) const noexcept {
    return client_is_inside ? *inside : *outside;
  }
  bool admits(const Ip6Bytes& client) const noexcept {
    return source_ranges == nullptr || source_ranges->contains(family, client);
  }
  bool drops(bool client_is_inside) const noexcept {
    return (flags & (client_is_inside ? api::kFrontendDropInside : api::kFrontendDropOutside)) != 0;
  }
  bool masquerades(bool client_is_inside) const noexcept {
    return !client_is_inside && (flags & api::kFrontendMasquerade) != 0;
  }
};

}  // namespace weir::dataplane
