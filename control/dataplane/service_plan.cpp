#include "control/dataplane/service_plan.h"

#include <tuple>

#include "control/dataplane/replay.h"

namespace weir::control {

namespace {

// A group in records; an empty one is a single record without a member.
std::vector<api::Backend> backend_records(uint64_t group, const Backends& backends) {
  std::vector<api::Backend> records = backends;
  if (records.empty()) records.push_back({.flags = api::kListEmpty});
  for (api::Backend& record : records) record.group = group;
  records.front().flags |= api::kListFirst;
  records.back().flags |= api::kListLast;
  return records;
}

std::vector<api::PrefixMember> prefix_records(uint64_t set, const Prefixes& prefixes) {
  std::vector<api::PrefixMember> records;
  for (const IpPrefix& prefix : prefixes) records.push_back({.prefix = prefix});
  if (records.empty()) records.push_back({.flags = api::kListEmpty});
  for (api::PrefixMember& record : records) record.set = set;
  records.front().flags |= api::kListFirst;
  records.back().flags |= api::kListLast;
  return records;
}

// Few large calls; where one is refused each item alone, to find which and to set the rest.
template <class Item, class Send, class Name>
Status send_all(api::Client& client, const std::vector<std::vector<Item>>& items, Send send,
                Name name, ServiceReport& report, size_t* counter) {
  std::vector<Item> all;
  for (const auto& item : items) all.insert(all.end(), item.begin(), item.end());
  if (all.empty()) return {};
  const Status whole = send(std::span<const Item>(all));
  if (!whole && is_broken(whole.error(), client)) return whole;
  size_t done = whole ? items.size() : 0;
  for (size_t i = 0; !whole && i < items.size(); ++i) {
    const Status one = send(std::span<const Item>(items[i]));
    if (one) {
      ++done;
    } else if (is_broken(one.error(), client)) {
      return one;
    } else {
      report.failed.push_back({one.error().code, name(items[i].front()) + ": " + one.error().text});
    }
  }
  if (counter != nullptr) *counter += done;
  return {};
}

std::string frontend_name(const api::FrontendKey& key) {
  return "frontend " + to_string(key.address) + " port " + std::to_string(key.port);
}

Status send_sets(api::Client& client, const ServicePlan& plan, ServiceReport& report) {
  std::vector<std::vector<api::PrefixMember>> items;
  for (const auto& [set, prefixes] : plan.sets) items.push_back(prefix_records(set, prefixes));
  return send_all(
      client, items, [&](auto records) { return client.prefix_set(records); },
      [](const api::PrefixMember& member) { return "prefix set " + std::to_string(member.set); },
      report, nullptr);
}

Status send_groups(api::Client& client, const ServicePlan& plan, ServiceReport& report) {
  std::vector<std::vector<api::Backend>> items;
  for (const auto& [group, backends] : plan.groups)
    items.push_back(backend_records(group, backends));
  return send_all(
      client, items, [&](auto records) { return client.group_set(records); },
      [](const api::Backend& backend) { return "group " + std::to_string(backend.group); }, report,
      &report.groups);
}

Status send_frontends(api::Client& client, const ServicePlan& plan, ServiceReport& report) {
  std::vector<std::vector<api::Frontend>> items;
  for (const auto& [key, frontend] : plan.frontends) items.push_back({frontend});
  return send_all(
      client, items, [&](auto records) { return client.frontend_set(records); },
      [](const api::Frontend& frontend) {
        return api::get_text(frontend.name) + ", " + frontend_name(frontend.key);
      },
      report, &report.frontends);
}

// Each alone, so that one which is refused does not keep the others.
std::vector<std::vector<api::ListKey>> list_keys(const std::vector<uint64_t>& keys) {
  std::vector<std::vector<api::ListKey>> items;
  for (const uint64_t key : keys) items.push_back({{.key = key}});
  return items;
}

// Against the order of setting: the dataplane refuses to delete what is referred to.
Status delete_all(api::Client& client, const ServicePlan& plan, ServiceReport& report) {
  std::vector<std::vector<api::FrontendKey>> frontends;
  for (const api::FrontendKey& key : plan.gone_frontends) frontends.push_back({key});
  Status gone = send_all(
      client, frontends, [&](auto records) { return client.frontend_delete(records); },
      frontend_name, report, nullptr);
  if (!gone) return gone;
  const auto name = [](const api::ListKey& key) { return "list " + std::to_string(key.key); };
  gone = send_all(
      client, list_keys(plan.gone_groups),
      [&](auto records) { return client.group_delete(records); }, name, report, nullptr);
  if (!gone) return gone;
  return send_all(
      client, list_keys(plan.gone_sets),
      [&](auto records) { return client.prefix_delete(records); }, name, report, nullptr);
}

}  // namespace

bool FrontendKeyLess::operator()(const api::FrontendKey& a,
                                 const api::FrontendKey& b) const noexcept {
  return std::tie(a.address, a.port, a.protocol) < std::tie(b.address, b.port, b.protocol);
}

bool ServicePlan::empty() const noexcept {
  return !has_settings && sets.empty() && groups.empty() && frontends.empty() &&
         gone_frontends.empty() && gone_groups.empty() && gone_sets.empty();
}

Result<ServiceReport> send_services(api::Client& client, const ServicePlan& plan) {
  ServiceReport report;
  if (plan.has_settings) {
    const Status set = client.service_settings(plan.settings);
    if (!set && is_broken(set.error(), client)) return set.error();
    if (!set) report.failed.push_back({set.error().code, "settings: " + set.error().text});
  }
  for (const auto step : {send_sets, send_groups, send_frontends, delete_all}) {
    const Status done = step(client, plan, report);
    if (!done) return done.error();
  }
  return report;
}

}  // namespace weir::control
