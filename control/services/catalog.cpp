#include "control/services/catalog.h"

#include <algorithm>
#include <cstring>

#include "dataplane/api/masquerade.h"

namespace weir::control {

namespace {

using FrontendKeys = std::set<api::FrontendKey, FrontendKeyLess>;

// Records have no padding, so equal values are equal bytes.
template <class T>
bool same_bytes(const T& a, const T& b) {
  static_assert(std::has_unique_object_representations_v<T>);
  return std::memcmp(&a, &b, sizeof a) == 0;
}

bool same(const Backends& a, const Backends& b) {
  return std::ranges::equal(a, b, same_bytes<api::Backend>);
}
bool same(const Prefixes& a, const Prefixes& b) { return a == b; }

// Lists of `after` that are new or different go to `set`, those only in `before` to `gone`.
template <class List>
void diff_lists(const std::map<uint64_t, List>& before, const std::map<uint64_t, List>& after,
                std::map<uint64_t, List>& set, std::vector<uint64_t>& gone) {
  for (const auto& [key, list] : after) {
    const auto old = before.find(key);
    if (old == before.end() || !same(old->second, list)) set[key] = list;
  }
  for (const auto& [key, list] : before) {
    if (!after.contains(key)) gone.push_back(key);
  }
}

}  // namespace

const char* to_text(ServiceSource source) {
  switch (source) {
    case ServiceSource::operator_given: return "weirctl";
    case ServiceSource::directory: return "directory";
    case ServiceSource::registration: return "registration";
    case ServiceSource::pods: break;
  }
  return "pod";
}

const Service* ServiceCatalog::Entry::service() const noexcept {
  const auto found =
      std::ranges::find_if(services, [](const auto& one) { return one.has_value(); });
  return found == services.end() ? nullptr : &**found;
}

bool ServiceCatalog::Entry::empty() const noexcept {
  return service() == nullptr && slices.empty();
}

ServiceCatalog::ServiceCatalog(NodeFacts node) : node_(std::move(node)) {}

// Every service may serve the node's addresses, and which endpoints are local depends on it.
void ServiceCatalog::set_node(NodeFacts node) {
  if (node == node_) return;
  node_ = std::move(node);
  node_dirty_ = true;
  ++shape_;
  for (const auto& [name, entry] : entries_) dirty_.insert(name);
}

// What a source says again, word for word, costs nothing: files are read again as a whole.
void ServiceCatalog::put_service(ServiceSource source, Service service) {
  auto& place = entries_[service.name].services.at(static_cast<size_t>(source));
  if (place == service) return;
  ++shape_;
  dirty_.insert(service.name);
  place = std::move(service);
}

void ServiceCatalog::put_slice(ServiceSource source, EndpointSlice slice) {
  const SliceKey key{source, slice.name};
  const ObjectName service = slice.service_name();
  const auto held = slice_services_.find(key);
  // A slice whose label changed serves another service from here on.
  if (held != slice_services_.end() && held->second != service) remove_slice(source, slice.name);
  slice_services_[key] = service;
  EndpointSlice& place = entries_[service].slices[key];
  if (place == slice) return;
  dirty_.insert(service);
  place = std::move(slice);
}

void ServiceCatalog::put(ServiceSource source, ServiceObjects objects) {
  for (Service& service : objects.services) put_service(source, std::move(service));
  for (EndpointSlice& slice : objects.slices) put_slice(source, std::move(slice));
}

// Slices of other sources stay: their endpoints count again if the service comes back.
bool ServiceCatalog::remove(ServiceSource source, const ObjectName& service) {
  const auto found = entries_.find(service);
  if (found == entries_.end()) return false;
  auto& place = found->second.services.at(static_cast<size_t>(source));
  ++shape_;
  bool removed = std::exchange(place, std::nullopt).has_value();
  for (auto slice = found->second.slices.begin(); slice != found->second.slices.end();) {
    const bool ours = slice->first.first == source;
    removed = removed || ours;
    if (ours) slice_services_.erase(slice->first);
    slice = ours ? found->second.slices.erase(slice) : std::next(slice);
  }
  if (removed) dirty_.insert(service);
  return removed;
}

bool ServiceCatalog::remove_slice(ServiceSource source, const ObjectName& slice) {
  const auto held = slice_services_.find({source, slice});
  if (held == slice_services_.end()) return false;
  const ObjectName service = held->second;
  entries_[service].slices.erase(held->first);
  slice_services_.erase(held);
  dirty_.insert(service);
  return true;
}

// Removal goes first, so that an address which moves between objects is free for the new one.
void ServiceCatalog::replace(ServiceSource source, ServiceObjects objects) {
  std::set<ObjectName> services;
  std::set<ObjectName> slices;
  for (const Service& service : objects.services) services.insert(service.name);
  for (const EndpointSlice& slice : objects.slices) slices.insert(slice.name);
  std::vector<ObjectName> gone;
  for (const auto& [key, service] : slice_services_) {
    if (key.first == source && !slices.contains(key.second)) gone.push_back(key.second);
  }
  for (const ObjectName& slice : gone) remove_slice(source, slice);
  for (auto& [name, entry] : entries_) {
    auto& place = entry.services.at(static_cast<size_t>(source));
    if (!place || services.contains(name)) continue;
    place.reset();
    ++shape_;
    dirty_.insert(name);
  }
  put(source, std::move(objects));
}

// Called with the pod as it was and as it is: it may leave one service and join another.
void ServiceCatalog::touch_selecting(const AttachedPod& pod) {
  for (const auto& [name, entry] : entries_) {
    const Service* service = entry.service();
    if (service != nullptr && name.space == pod.name.space &&
        selects(service->selector, pod.labels)) {
      dirty_.insert(name);
    }
  }
}

void ServiceCatalog::set_pod(uint64_t attachment, AttachedPod pod) {
  AttachedPod& place = pods_[attachment];
  if (place == pod) return;
  touch_selecting(place);
  place = std::move(pod);
  touch_selecting(place);
  if (!place.host_ports.empty()) {
    put(ServiceSource::pods, host_port_objects(attachment, place, node_));
  }
}

// By attachment, not by name: a pod's successor of the same name may be here already.
void ServiceCatalog::remove_pod(uint64_t attachment) {
  const auto found = pods_.find(attachment);
  if (found == pods_.end()) return;
  touch_selecting(found->second);
  remove(ServiceSource::pods, host_port_name(attachment, found->second));
  pods_.erase(found);
}

std::optional<ServiceCatalog::Found> ServiceCatalog::find(const ObjectName& name) const {
  const auto entry = entries_.find(name);
  const Service* service = entry == entries_.end() ? nullptr : entry->second.service();
  if (service == nullptr) return std::nullopt;
  Found found{.service = service, .local_ready = entry->second.compiled.local_ready};
  for (size_t i = kServiceSources; i-- > 0;) {
    if (entry->second.services.at(i)) found.source = static_cast<ServiceSource>(i);
  }
  for (const auto& [key, slice] : entry->second.slices) found.slices.push_back(&slice);
  for (const EndpointSlice& slice : entry->second.selected) found.slices.push_back(&slice);
  return found;
}

std::vector<ObjectName> ServiceCatalog::names() const {
  std::vector<ObjectName> names;
  for (const auto& [name, entry] : entries_) {
    if (entry.service() != nullptr) names.push_back(name);
  }
  return names;
}

// The first by name of all that want the address and port: which one wins does not depend on
// who came first, so it is the same after a restart.
const ObjectName* ServiceCatalog::owner(const api::FrontendKey& key) const {
  const auto found = claims_.find(key);
  return found == claims_.end() ? nullptr : &*found->second.begin();
}

const CompiledService* ServiceCatalog::compiled(const ObjectName& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.compiled;
}

// Slices of labels are made anew each time: a selector may have changed as well as pods.
CompiledService ServiceCatalog::compile_entry(Entry& entry) const {
  const Service* service = entry.service();
  if (service == nullptr) return {};
  entry.selected = select_pods(*service, pods_, node_);
  std::vector<const EndpointSlice*> slices;
  for (const auto& [key, slice] : entry.slices) slices.push_back(&slice);
  for (const EndpointSlice& slice : entry.selected) slices.push_back(&slice);
  return compile(*service, slices, node_);
}

void ServiceCatalog::compile_service(const ObjectName& name, ServicePlan& plan,
                                     FrontendKeys& touched) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  CompiledService after = compile_entry(found->second);
  const CompiledService& before = found->second.compiled;
  diff_lists(before.sets, after.sets, plan.sets, plan.gone_sets);
  diff_lists(before.groups, after.groups, plan.groups, plan.gone_groups);
  // All keys of before and after are looked at again: another service may own them now.
  for (const auto& [key, frontend] : before.frontends) {
    touched.insert(key);
    if (after.frontends.contains(key)) continue;
    const auto claim = claims_.find(key);
    claim->second.erase(name);
    if (claim->second.empty()) claims_.erase(claim);
  }
  for (const auto& [key, frontend] : after.frontends) {
    touched.insert(key);
    claims_[key].insert(name);
  }
  found->second.compiled = std::move(after);
  if (found->second.empty()) entries_.erase(found);
}

// Sends a key's frontend when its owner or its content changed, and takes it away when
// nobody wants it any more; a change of owners is one record, without a gap between.
void ServiceCatalog::settle_frontends(const FrontendKeys& touched, ServicePlan& plan) {
  for (const api::FrontendKey& key : touched) {
    const ObjectName* name = owner(key);
    const auto sent = frontends_.find(key);
    if (name == nullptr) {
      if (sent == frontends_.end()) continue;
      plan.gone_frontends.push_back(key);
      frontends_.erase(sent);
      continue;
    }
    const api::Frontend& wanted = entries_.at(*name).compiled.frontends.at(key);
    if (sent != frontends_.end() && same_bytes(sent->second, wanted)) continue;
    frontends_[key] = wanted;
    plan.frontends[key] = wanted;
  }
}

// Sent with the first plan and with each whole one, as a dataplane begins without.
void ServiceCatalog::add_node(ServicePlan& plan) const {
  plan.sets[api::kInsideSet] = node_.inside;
  plan.sets[api::kKeptSet] = node_.kept;
  plan.has_settings = true;
  for (const IpAddress& address : node_.masquerade) {
    (address.is_ip4() ? plan.settings.masquerade4 : plan.settings.masquerade6) = address;
  }
}

ServicePlan ServiceCatalog::take_changes() {
  ServicePlan plan;
  FrontendKeys touched;
  for (const ObjectName& name : std::exchange(dirty_, {})) compile_service(name, plan, touched);
  settle_frontends(touched, plan);
  if (!plan.frontends.empty() || !plan.gone_frontends.empty()) ++shape_;
  if (std::exchange(node_dirty_, false)) add_node(plan);
  return plan;
}

ServicePlan ServiceCatalog::whole() {
  static_cast<void>(take_changes());  // brings what follows up to date
  ServicePlan plan;
  add_node(plan);
  plan.frontends = frontends_;
  for (const auto& [name, entry] : entries_) {
    plan.sets.insert(entry.compiled.sets.begin(), entry.compiled.sets.end());
    plan.groups.insert(entry.compiled.groups.begin(), entry.compiled.groups.end());
  }
  return plan;
}

}  // namespace weir::control
