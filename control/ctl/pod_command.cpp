// weirctl pod list | weirctl ipam show
#include "control/ctl/json_view.h"
#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

std::string pods_text(const Json& pods) {
  return table_of(pods, {"name", "container_id", "ifname", "kind", "addresses", "port_key"},
                  "no pod is attached");
}

Json same(const Json& answer) { return answer; }

// A list may come bare or as the only member of an object.
Json rows_of(Json answer, const char* member) {
  if (answer.is_object() && answer.contains(member)) answer = Json(answer[member]);
  return answer.is_array() ? answer : Json::array();
}

Status list_pods(Session& session) {
  const auto answer = session.control("pod.list");
  if (!answer) return answer.error();
  return show(session, same, pods_text, rows_of(*answer, "pods"));
}

std::string ipam_text(const Json& answer) { return fields_of(answer); }

Status show_ipam(Session& session) {
  const auto answer = session.control("ipam.show");
  if (!answer) return answer.error();
  return show(session, same, ipam_text, *answer);
}

}  // namespace

void add_pod_commands(Program& program) {
  CLI::App* pod = program.noun("pod", "attachments of pods");
  program.verb(pod, "list", "one line for each attached interface", list_pods);
  CLI::App* ipam = program.noun("ipam", "addresses");
  program.verb(ipam, "show", "ranges and leases", show_ipam);
}

}  // namespace weir::ctl
