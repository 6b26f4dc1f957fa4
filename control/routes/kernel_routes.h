// The kernel's routes that weir takes over: a mirror of those of one table and some
// protocols, as routes of the dataplane, and what changed since it was last told.
//
// Knows nothing of netlink sockets or of the dataplane. Threads: the control thread.
#pragma once

#include <array>
#include <compare>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "control/netns/route_monitor.h"
#include "dataplane/api/protocol.h"

namespace weir::control {

class KernelRoutes {
 public:
  // Why a route of the table and protocols leads nowhere in the dataplane.
  enum class Ignored : uint8_t { no_uplink, kind, tos, count };
  static std::string_view to_string(Ignored reason) noexcept;

  explicit KernelRoutes(const config::NetworkConfig& network);

  bool enabled() const noexcept { return !filter_.protocols.empty(); }
  // A dump was read to its end: from here on absence means absence.
  bool complete() const noexcept { return complete_ || !enabled(); }

  void set(const KernelRoute& route);
  // False: it was not as the mirror has it, so only a dump can tell what is left.
  bool remove(const KernelRoute& route);
  // Everything that is not set between the two is gone.
  void begin_dump() { ++dump_; }
  void end_dump();

  std::optional<api::Route> find(const IpPrefix& prefix) const;
  std::vector<api::Route> all() const;
  size_t size() const noexcept { return routes_.size(); }
  std::array<size_t, static_cast<size_t>(Ignored::count)> ignored() const;  // by reason
  // Changes that the dataplane refused, since the start.
  void count_refused(size_t changes) noexcept { refused_ += changes; }
  uint64_t refused() const noexcept { return refused_; }

  // Prefixes whose route changed, at most so many; they are forgotten.
  std::vector<IpPrefix> take_changed(size_t most);
  bool changed() const noexcept { return !changed_.empty(); }

 private:
  // How the kernel tells routes to one prefix apart.
  struct Key {
    IpPrefix prefix;
    uint32_t priority = 0;
    uint8_t tos = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    std::vector<KernelNextHop> hops;  // as the kernel gave them
    api::Route route;                 // kind none: ignored, for `reason`
    Ignored reason = Ignored::count;
    uint64_t dump = 0;
  };
  using Routes = std::map<Key, Entry>;

  static Key key_of(const KernelRoute& route) { return {route.prefix, route.priority, route.tos}; }
  bool wanted(const KernelRoute& route) const;
  std::vector<api::NextHop> usable_hops(const KernelRoute& route) const;
  Entry translate(const KernelRoute& route) const;
  bool on_uplink(const IpAddress& gateway) const;
  Routes::iterator forget(Routes::iterator entry);

  config::KernelRoutesConfig filter_;
  std::vector<IpPrefix> networks_;  // of uplinks
  Routes routes_;
  std::set<IpPrefix> changed_;
  uint64_t dump_ = 0;
  uint64_t refused_ = 0;
  bool complete_ = false;
};

}  // namespace weir::control
