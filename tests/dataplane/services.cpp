#include "tests/dataplane/services.h"

#include <stdexcept>

#include "dataplane/api/masquerade.h"

namespace weir::dataplane::test {
namespace {

void must(const Status& status) {
  if (!status) throw std::runtime_error(status.error().text);
}

template <class Record, class Add>
void whole_list(std::vector<Record> records, Add add) {
  const bool empty = records.empty();
  if (empty) records.emplace_back();
  records.front().flags |= api::kListFirst | (empty ? api::kListEmpty : 0);
  records.back().flags |= api::kListLast;
  for (Record& record : records) must(add(record));
}

}  // namespace

void set_group(Lab& lab, uint64_t key, std::initializer_list<End> backends) {
  std::vector<api::Backend> records;
  for (const End& end : backends)
    records.push_back({.address = parse_address(end.address).value(), .port = end.port});
  whole_list(records, [&](api::Backend& record) {
    record.group = key;
    return lab.services().set_backend(record);
  });
}

void set_prefixes(Lab& lab, uint64_t key, std::initializer_list<const char*> prefixes) {
  std::vector<api::PrefixMember> records;
  for (const char* prefix : prefixes) records.push_back({.prefix = parse_prefix(prefix).value()});
  whole_list(records, [&](api::PrefixMember& record) {
    record.set = key;
    return lab.services().set_prefix(record);
  });
}

void set_frontend(Lab& lab, const End& at, uint64_t group, const Fields& fields) {
  must(lab.services().set_frontend({.key = {.address = parse_address(at.address).value(),
                                            .port = at.port,
                                            .protocol = fields.protocol},
                                    .kind = fields.kind,
                                    .flags = fields.flags,
                                    .group_inside = group,
                                    .group_outside = fields.outside != 0 ? fields.outside : group,
                                    .source_ranges = fields.source_ranges,
                                    .affinity = fields.affinity,
                                    .affinity_seconds = fields.affinity_seconds}));
}

void set_masquerade(Lab& lab, uint16_t first_port, uint16_t last_port) {
  must(lab.services().set_settings({.masquerade4 = parse_address("10.1.0.1").value(),
                                    .masquerade6 = parse_address("fd00::1").value(),
                                    .masquerade_first_port = first_port,
                                    .masquerade_last_port = last_port}));
}

void masquerade_uplink(Lab& lab, uint16_t first_port, uint16_t last_port) {
  lab.connections().prepare();
  set_masquerade(lab, first_port, last_port);
  set_prefixes(lab, api::kKeptSet,
               {"10.0.0.0/8", "fd00::/8", "203.0.113.128/25", "2001:db8:51:5::/64"});
}

void serve_one(Lab& lab) {
  set_group(lab, 1, {{"10.1.0.3", 8080}});
  set_group(lab, 2, {{"fd00::3", 8080}});
  set_frontend(lab, {kVip4, 80}, 1);
  set_frontend(lab, {kVip6, 80}, 2);
}

void serve(Lab& lab) {
  enum Group : uint64_t { kB = 1, kB6, kNone, kNone6, kA, kA6, kOutside };
  constexpr uint64_t kRanges = 2;
  set_group(lab, kB, {{"10.1.0.3", 8080}});
  set_group(lab, kB6, {{"fd00::3", 8080}});
  set_group(lab, kNone, {});
  set_group(lab, kNone6, {});
  set_group(lab, kA, {{"10.1.0.2", 8080}});
  set_group(lab, kA6, {{"fd00::2", 8080}});
  set_group(lab, kOutside, {{"192.0.2.9", 8080}});
  set_prefixes(lab, kRanges, {"192.0.2.0/24"});
  set_masquerade(lab, 2000, 2000);
  constexpr uint32_t kDrop = api::kFrontendDropInside | api::kFrontendDropOutside;
  for (const bool ip6 : {false, true}) {
    const std::string_view vip = ip6 ? kVip6 : kVip4;
    for (const uint8_t protocol : {kProtoUdp, kProtoTcp, kProtoSctp})
      set_frontend(lab, {vip, 80}, ip6 ? kB6 : kB, {.protocol = protocol});
    set_frontend(lab, {vip, 81}, ip6 ? kNone6 : kNone);
    set_frontend(lab, {vip, 82}, ip6 ? kNone6 : kNone, {.flags = kDrop});
    set_frontend(lab, {vip, 83}, ip6 ? kA6 : kA);
    set_frontend(lab, {vip, 85}, ip6 ? kB6 : kB, {.flags = api::kFrontendMasquerade});
  }
  set_frontend(lab, {kVip4, 84}, kB, {.source_ranges = kRanges});
  set_frontend(lab, {kVip4, 86}, kOutside);
  set_frontend(lab, {kVip4, 8080}, kB, {.protocol = kProtoSctp});
  set_frontend(lab, {"10.1.0.3", 443}, kB, {.kind = api::FrontendKind::host_port});
  set_frontend(lab, {"10.1.0.1", 443}, kB, {.kind = api::FrontendKind::node_port});
}

}  // namespace weir::dataplane::test
