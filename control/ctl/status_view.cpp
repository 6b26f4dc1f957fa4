#include "control/ctl/status_view.h"

#include <algorithm>
#include <array>

#include "control/ctl/json_view.h"
#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

std::string dataplane_text(const DataplaneAnswer& answer) {
  const api::DataplaneStatus& status = answer.status;
  Fields fields;
  fields.add("  state", "running");
  fields.add("  version", field_text(answer.hello.build));
  fields.add("  pid", std::to_string(status.pid));
  fields.add("  uptime", duration(status.uptime_ns));
  fields.add("  workers", std::to_string(status.workers));
  fields.add("  ports", std::to_string(status.ports));
  fields.add("  routes", std::to_string(status.routes));
  fields.add("  table memory", byte_size(status.table_bytes));
  fields.add("  packet memory", status.hugepages != 0 ? "hugepages" : "ordinary pages (slower)");
  fields.add("  waiting for reclaim", std::to_string(status.pending_reclaim));
  fields.add("  replay", status.generation == 0
                             ? "none yet: weir-control has not set the node's ports and routes"
                             : "generation " + std::to_string(status.generation));
  return fields.text();
}

Json dataplane_json(const DataplaneAnswer& answer) {
  const api::DataplaneStatus& status = answer.status;
  return {{"running", true},
          {"version", field_text(answer.hello.build)},
          {"pid", status.pid},
          {"instance", json_u64(status.instance)},
          {"generation", json_u64(status.generation)},
          {"uptime_ns", json_u64(status.uptime_ns)},
          {"workers", status.workers},
          {"ports", status.ports},
          {"routes", status.routes},
          {"tsc_hz", json_u64(status.tsc_hz)},
          {"table_bytes", json_u64(status.table_bytes)},
          {"pending_reclaim", json_u64(status.pending_reclaim)},
          {"hugepages", status.hugepages != 0}};
}

std::string absent_text(const Error& error) {
  Fields fields;
  fields.add("  state", "does not answer");
  fields.add("  reason", printable(error.text));
  return fields.text();
}

Json absent_json(const Error& error) {
  return {{"running", false},
          {"error", {{"code", to_string(error.code)}, {"text", printable(error.text)}}}};
}

Json control_json(const Json& answer) {
  Json json{{"running", true}};
  json.update(answer.is_object() ? answer : Json{{"answer", answer}});
  return json;
}

std::string session_text(const Json& dataplane) {
  if (member(dataplane, "connected") == true) {
    return "connected, generation " + cell_of(member(dataplane, "generation"));
  }
  return "not connected: " + cell_of(member(dataplane, "reason"));
}

std::string kernel_routes_text(const Json& routes) {
  if (member(routes, "followed") != true) return "not followed";
  std::string text = cell_of(member(routes, "routes")) + " followed";
  for (const auto& [reason, count] : member(routes, "ignored").items()) {
    text += ", " + cell_of(count) + " of them ignored: " + printable(reason);
  }
  if (const Json& refused = member(routes, "refused_changes"); refused != 0) {
    text += ", " + cell_of(refused) + " changes refused";
  }
  return text;
}

std::string pool_text(const Json& pool) {
  return cell_of(member(pool, "used")) + " of " + cell_of(member(pool, "size")) + " used in " +
         cell_of(member(pool, "ranges"));
}

// The members that have no line of their own come last, as they are.
std::string control_text(const Json& answer) {
  constexpr std::array kOwnLine{"version",     "pid",       "uptime_s", "network",
                                "attachments", "dataplane", "pools", "kernel_routes"};
  Fields fields;
  fields.add("  state", "running");
  for (const char* key : {"version", "pid"}) {
    fields.add(std::string("  ") + key, cell_of(member(answer, key)));
  }
  const Json& uptime = member(answer, "uptime_s");
  if (uptime.is_number_unsigned()) {
    fields.add("  uptime", duration(uptime.get<uint64_t>() * 1'000'000'000));
  }
  for (const char* key : {"network", "attachments"}) {
    fields.add(std::string("  ") + key, cell_of(member(answer, key)));
  }
  if (answer.contains("dataplane")) fields.add("  dataplane", session_text(answer["dataplane"]));
  if (answer.contains("kernel_routes")) fields.add("  kernel routes", kernel_routes_text(answer["kernel_routes"]));
  const Json& pools = member(answer, "pools");
  for (const Json& pool : pools) fields.add("  addresses", pool_text(pool));
  for (const auto& [key, value] : answer.items()) {
    if (std::ranges::find(kOwnLine, key) == kOwnLine.end()) {
      fields.add("  " + printable(key), cell_of(value));
    }
  }
  return fields.text();
}

}  // namespace

std::string status_text(const Result<DataplaneAnswer>& dataplane, const Result<Json>& control) {
  return "weir-dataplane\n" +
         (dataplane ? dataplane_text(*dataplane) : absent_text(dataplane.error())) +
         "weir-control\n" + (control ? control_text(*control) : absent_text(control.error()));
}

Json status_json(const Result<DataplaneAnswer>& dataplane, const Result<Json>& control) {
  return {{"dataplane", dataplane ? dataplane_json(*dataplane) : absent_json(dataplane.error())},
          {"control", control ? control_json(*control) : absent_json(control.error())}};
}

}  // namespace weir::ctl
