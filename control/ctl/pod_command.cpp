// weirctl pod list | weirctl ipam show
#include <array>
#include <ctime>

#include "control/ctl/json_view.h"
#include "control/ctl/program.h"

namespace weir::ctl {
namespace {

// A container's id to twelve digits, as runtimes show it; JSON has all of it.
std::string pods_text(const Json& pods) {
  constexpr size_t kShort = 12;
  Json rows = Json::array();
  for (const Json& pod : pods) {
    Json row = pod;
    const Json& id = member(pod, "container_id");
    if (id.is_string()) row["container"] = id.get<std::string>().substr(0, kShort);
    rows.push_back(std::move(row));
  }
  return table_of(rows,
                  {"name", "container", "ifname", "kind", "addresses", "mtu", "port_key", "state"},
                  "no pod is attached");
}

Json same(const Json& answer) { return answer; }

Status list_pods(Session& session) {
  const auto answer = session.control("pod.list");
  if (!answer) return answer.error();
  return show(session, same, pods_text, answer->is_array() ? *answer : Json::array());
}

// "2026-11-24 12:00:05" of local time; empty for 0 and for what is no number.
std::string clock_text(const Json& millis) {
  if (!millis.is_number_integer() || millis.get<int64_t>() == 0) return "";
  const time_t seconds = millis.get<int64_t>() / 1000;
  std::tm parts{};
  if (localtime_r(&seconds, &parts) == nullptr) return "";
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%F %T", &parts)};
}

Json with_times(const Json& leases) {
  Json rows = Json::array();
  for (Json lease : leases) {
    lease["since"] = clock_text(member(lease, "since_ms"));
    lease["until"] = clock_text(member(lease, "until_ms"));
    rows.push_back(std::move(lease));
  }
  return rows;
}

std::string ipam_text(const Json& answer) {
  return table_of(member(answer, "pools"), {"ranges", "size", "used", "resting", "free"},
                  "no ranges") +
         "\n" +
         table_of(with_times(member(answer, "leases")),
                  {"address", "state", "since", "until", "pod", "container_id", "ifname"},
                  "no leases");
}

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
