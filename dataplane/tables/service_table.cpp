#include "dataplane/tables/service_table.h"

#include "dataplane/tables/address_checks.h"

namespace weir::dataplane {

namespace {

static_assert(std::has_unique_object_representations_v<api::Frontend>);  // compared by bytes

constexpr uint32_t kMostAffinitySeconds = 86400;
constexpr uint16_t kDefaultFirstPort = 1024;
constexpr uint16_t kDefaultLastPort = 65535;
constexpr uint32_t kAllFrontendFlags =
    api::kFrontendMasquerade | api::kFrontendDropInside | api::kFrontendDropOutside;

Error invalid(std::string text) { return {ErrorCode::invalid_argument, std::move(text)}; }

Status check_choices(const api::Frontend& frontend) {
  if (frontend.kind == api::FrontendKind::none || frontend.kind > api::FrontendKind::host_port)
    return invalid("a frontend's kind is one of 1 to 5; " +
                   std::to_string(static_cast<unsigned>(frontend.kind)) + " is none of them");
  if ((frontend.flags & ~kAllFrontendFlags) != 0)
    return invalid("a frontend has flags that this version does not know; update the dataplane");
  if (frontend.group_inside == 0 || frontend.group_outside == 0)
    return invalid(
        "a frontend needs a group for clients inside and one for those outside; they may be the "
        "same");
  if (frontend.affinity != 0 &&
      (frontend.affinity_seconds == 0 || frontend.affinity_seconds > kMostAffinitySeconds))
    return invalid("client affinity lasts 1 to 86400 seconds, not " +
                   std::to_string(frontend.affinity_seconds));
  return {};
}

Status check_masquerade(IpAddress& address, Family family) {
  if (address == IpAddress{}) return {};
  if (normalize(address) && address.family == family && is_unicast(address)) return {};
  return invalid(std::string("the masquerade address for ") +
                 (family == Family::ip4 ? "IPv4" : "IPv6") +
                 " must be a unicast address of that family, or none");
}

Result<api::ServiceSettings> checked_settings(const api::ServiceSettings& settings) {
  api::ServiceSettings clean = settings;
  if (Status status = check_masquerade(clean.masquerade4, Family::ip4); !status)
    return status.error();
  if (Status status = check_masquerade(clean.masquerade6, Family::ip6); !status)
    return status.error();
  if (clean.masquerade_first_port == 0) clean.masquerade_first_port = kDefaultFirstPort;
  if (clean.masquerade_last_port == 0) clean.masquerade_last_port = kDefaultLastPort;
  if (clean.masquerade_first_port > clean.masquerade_last_port)
    return invalid("the first masquerade port, " + std::to_string(clean.masquerade_first_port) +
                   ", is above the last, " + std::to_string(clean.masquerade_last_port) +
                   "; swap them");
  return clean;
}

}  // namespace

size_t ServiceTable::KeyHash::operator()(const Key& key) const noexcept {
  return FlowKey{.source = key.address.bytes,
                 .source_port = key.port,
                 .protocol = key.protocol,
                 .family = key.address.family}
      .hash();
}

ServiceTable::ServiceTable(Rcu& rcu, BackendPool& pool, FrontendAddresses& addresses)
    : rcu_(rcu),
      addresses_(addresses),
      groups_(rcu, pool),
      sets_(rcu),
      frontends_(rcu),
      settings_(new api::ServiceSettings(*checked_settings({}))) {}

ServiceTable::~ServiceTable() { delete settings_.load(); }

// --- checks of what comes from outside

Result<ServiceTable::Key> ServiceTable::checked_key(const api::FrontendKey& key) {
  Key clean{.address = key.address, .port = key.port, .protocol = key.protocol};
  if (!normalize(clean.address) || !is_unicast(clean.address))
    return invalid("a frontend needs a unicast IPv4 or IPv6 address");
  if (clean.port == 0)
    return invalid("frontend " + to_string(clean.address) + " needs a port from 1 to 65535");
  if (clean.protocol != kProtoTcp && clean.protocol != kProtoUdp && clean.protocol != kProtoSctp)
    return invalid("a frontend's protocol is 6 (TCP), 17 (UDP) or 132 (SCTP), not " +
                   std::to_string(clean.protocol));
  return clean;
}

Result<api::Frontend> ServiceTable::checked(const api::Frontend& frontend) {
  const auto key = checked_key(frontend.key);
  if (!key) return key.error();
  if (Status status = check_choices(frontend); !status) return status.error();
  api::Frontend clean = frontend;
  clean.key = {.address = key->address, .port = key->port, .protocol = key->protocol};
  clean.reserved = {};
  clean.reserved2 = 0;
  clean.name.back() = '\0';  // texts from outside end with a zero, whatever the sender did
  return clean;
}

// --- frontends

Result<FrontendView> ServiceTable::acquire(const api::Frontend& config) {
  const Family family = config.key.address.family;
  const auto inside = groups_.acquire(config.group_inside, family);
  if (!inside) return inside.error();
  const auto outside = groups_.acquire(config.group_outside, family);
  if (!outside) {
    groups_.release(config.group_inside);
    return outside.error();
  }
  const NetworkSet* ranges = nullptr;
  if (config.source_ranges != 0) {
    const auto set = sets_.acquire(config.source_ranges);
    if (!set) {
      groups_.release(config.group_outside);
      groups_.release(config.group_inside);
      return set.error();
    }
    ranges = *set;
  }
  return FrontendView{.address = config.key.address.bytes,
                      .port = __builtin_bswap16(config.key.port),
                      .protocol = config.key.protocol,
                      .family = family,
                      .kind = config.kind,
                      .flags = config.flags,
                      .inside = *inside,
                      .outside = *outside,
                      .source_ranges = ranges,
                      .affinity = config.affinity,
                      .affinity_seconds = config.affinity_seconds};
}

void ServiceTable::release(const api::Frontend& config) {
  if (config.source_ranges != 0) sets_.release(config.source_ranges);
  groups_.release(config.group_outside);
  groups_.release(config.group_inside);
}

Status ServiceTable::acquire_address(const IpAddress& address) {
  if (const auto at = address_uses_.find(address); at != address_uses_.end()) {
    ++at->second;
    return {};
  }
  Status status = addresses_.frontend_address_added(address);
  if (status) address_uses_.emplace(address, 1);
  return status;
}

void ServiceTable::release_address(const IpAddress& address) {
  const auto at = address_uses_.find(address);
  if (--at->second > 0) return;
  address_uses_.erase(at);
  addresses_.frontend_address_removed(address);
}

Status ServiceTable::set_frontend(const api::Frontend& frontend) {
  const auto good = checked(frontend);
  if (!good) return good.error();
  const Key key{
      .address = good->key.address, .port = good->key.port, .protocol = good->key.protocol};
  const auto at = entries_.find(key);
  if (at != entries_.end() && std::memcmp(&at->second.config, &*good, sizeof *good) == 0) {
    at->second.generation = generation_;
    return {};
  }
  // New references first: what both configurations name must not be free in between.
  const auto view = acquire(*good);
  if (!view) return view.error();
  if (at == entries_.end()) {
    if (Status status = acquire_address(key.address); !status) {
      release(*good);
      return status;
    }
  } else {
    release(at->second.config);
  }
  frontends_.set(*view);
  entries_.insert_or_assign(key, Entry{.config = *good, .view = *view, .generation = generation_});
  return {};
}

Status ServiceTable::erase_frontend(const api::FrontendKey& frontend) {
  const auto key = checked_key(frontend);
  if (!key) return key.error();
  if (const auto at = entries_.find(*key); at != entries_.end()) remove(at);
  return {};
}

void ServiceTable::remove(Entries::iterator at) {
  const api::Frontend config = at->second.config;
  frontends_.erase(at->second.view);
  entries_.erase(at);
  release(config);
  release_address(config.key.address);
}

Status ServiceTable::erase_group(uint64_t key) {
  if (key == 0) return invalid("name the group to delete; its number is never 0");
  return groups_.erase(key);
}

Status ServiceTable::erase_prefixes(uint64_t key) {
  if (key == 0) return invalid("name the prefix set to delete; its number is never 0");
  return sets_.erase(key);
}

Status ServiceTable::set_settings(const api::ServiceSettings& settings) {
  const auto good = checked_settings(settings);
  if (!good) return good.error();
  rcu_.retire_delete(
      settings_.exchange(new api::ServiceSettings(*good), std::memory_order_acq_rel));
  return {};
}

ServiceTable::Swept ServiceTable::sweep(uint64_t generation) {
  Swept swept;
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto here = at++;
    if (here->second.generation == generation) continue;
    remove(here);
    ++swept.frontends;
  }
  swept.lists = groups_.sweep(generation) + sets_.sweep(generation);
  return swept;
}

// --- lists

void ServiceTable::for_each_frontend(
    const std::function<void(const api::FrontendState&)>& visit) const {
  for (const auto& [key, entry] : entries_) {
    visit({.config = entry.config,
           .backends_inside = groups_.backends(entry.config.group_inside),
           .backends_outside = groups_.backends(entry.config.group_outside)});
  }
}

void ServiceTable::for_each_address(const std::function<void(const IpAddress&)>& visit) const {
  for (const auto& [address, uses] : address_uses_) visit(address);
}

const api::Frontend* ServiceTable::config(const FrontendView& view) const {
  const Key key{.address = {.family = view.family, .bytes = view.address},
                .port = __builtin_bswap16(view.port),
                .protocol = view.protocol};
  const auto at = entries_.find(key);
  return at == entries_.end() ? nullptr : &at->second.config;
}

}  // namespace weir::dataplane
