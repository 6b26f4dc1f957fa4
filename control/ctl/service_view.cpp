#include "control/ctl/service_view.h"

#include "control/ctl/json_view.h"

namespace weir::ctl {
namespace {

// To change; what is no object has no members.
Json members(const Json& value) { return value.is_object() ? value : Json::object(); }

// "10.244.0.5:8080 10.244.0.6:8080*3" with weights that are not 1.
std::string backends_text(const Json& backends) {
  std::string text;
  for (const Json& backend : backends) {
    const std::string address = cell_of(member(backend, "address"));
    const bool ip6 = address.find(':') != std::string::npos;
    text += (text.empty() ? "" : " ") + (ip6 ? "[" + address + "]" : address) + ":" +
            cell_of(member(backend, "port"));
    if (const Json& weight = member(backend, "weight"); !weight.is_null()) {
      text += "*" + cell_of(weight);
    }
  }
  return text;
}

// What a client gets there.
std::string leads_to(const Json& frontend, const char* side, const char* drop) {
  const std::string text = backends_text(member(frontend, side));
  if (!text.empty()) return text;
  return member(frontend, drop) == true ? "dropped" : "refused";
}

// The groups for clients outside are named only where they differ.
Json frontend_row(const Json& frontend) {
  const std::string inside = leads_to(frontend, "inside", "drop_inside");
  const std::string outside = leads_to(frontend, "outside", "drop_outside");
  Json row = members(frontend);
  row["port"] = cell_of(member(frontend, "port")) + "/" + cell_of(member(frontend, "protocol"));
  row["source"] = member(frontend, "masquerade") == true ? "masqueraded" : "kept";
  row["backends"] = inside;
  row["outside"] = outside == inside ? "same" : outside;
  return row;
}

std::string port_text(const Json& port) {
  std::string head =
      "port " + cell_of(member(port, "port")) + ", " + cell_of(member(port, "family"));
  const Json& nobody = member(port, "nobody");
  if (nobody.is_string() && !nobody.get<std::string>().empty()) {
    return head + ": " + cell_of(nobody) + "\n";
  }
  Json rows = Json::array();
  for (const Json& endpoint : member(port, "endpoints")) {
    Json row = members(endpoint);
    row["policy Cluster"] = member(endpoint, "cluster");
    row["policy Local"] = member(endpoint, "local_policy");
    rows.push_back(std::move(row));
  }
  return head + "\n" +
         table_of(rows, {"address", "port", "pod", "node", "policy Cluster", "policy Local"},
                  "no endpoint");
}

}  // namespace

std::string applied_text(const Json& answer) {
  std::string text;
  for (const Json& object : member(answer, "objects")) {
    text += cell_of(member(object, "kind")) + " " + cell_of(member(object, "name")) + " applied\n";
  }
  return text;
}

std::string services_text(const Json& services) {
  return table_of(services, {"name", "vips", "external", "ports", "endpoints", "source", "skipped"},
                  "no service");
}

std::string service_text(const Json& service) {
  Json fields = members(service);
  fields.erase("frontends");
  Json rows = Json::array();
  for (const Json& frontend : member(service, "frontends")) rows.push_back(frontend_row(frontend));
  return fields_of(fields) + "\n" +
         table_of(rows, {"address", "port", "kind", "source", "backends", "outside", "taken_by"},
                  "no address is served");
}

std::string explanation_text(const Json& answer) {
  Json head = members(answer);
  head.erase("ports");
  std::string text = fields_of(head);
  for (const Json& port : member(answer, "ports")) text += "\n" + port_text(port);
  return text;
}

}  // namespace weir::ctl
