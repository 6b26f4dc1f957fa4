#include "control/services/node_ports.h"

#include <sys/wait.h>
#include <unistd.h>

#include "control/cni/subprocess.h"
#include "control/services/parse.h"

namespace weir::control {

namespace {

constexpr std::array kPlaces{"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"};
constexpr std::chrono::seconds kBound(10);

std::string ports_of(const NodePorts& ports, uint8_t protocol) {
  std::string text;
  for (const auto& [number, port] : ports) {
    if (number == protocol) text += (text.empty() ? "" : ", ") + std::to_string(port);
  }
  return text;
}

// One rule for each protocol and family. Loopback addresses are the kernel's alone.
std::string rules_of(const NodePortRules& rules) {
  std::string text;
  for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp, kProtocolSctp}) {
    const std::string ports = ports_of(rules.ports, protocol);
    if (ports.empty()) continue;
    const std::string match = std::string(" fib daddr type local ") + protocol_text(protocol) +
                              " dport { " + ports + " } dnat ";
    if (!rules.gateway4.is_none()) {
      text += "    ip daddr != 127.0.0.0/8" + match + "ip to " + to_string(rules.gateway4) + "\n";
    }
    if (!rules.gateway6.is_none()) {
      text += "    ip6 daddr != ::1" + match + "ip6 to " + to_string(rules.gateway6) + "\n";
    }
  }
  return text;
}

}  // namespace

std::string to_nft(const NodePortRules& rules) {
  // Adding it first makes that deleting it never fails. -110: before dstnat (-100), which
  // nft knows by name in one of the two hooks only.
  std::string text = "add table inet weir\ndelete table inet weir\n";
  const std::string lines = rules_of(rules);
  if (lines.empty()) return text;
  return text + "table inet weir {\n" + "  chain prerouting {\n" +
         "    type nat hook prerouting priority -110; policy accept;\n" + "    iifname \"" +
         rules.interface + "\" return\n" + lines + "  }\n" + "  chain output {\n" +
         "    type nat hook output priority -110; policy accept;\n" + lines + "  }\n}\n";
}

Status load_rules(const std::string& text) {
  for (const char* path : kPlaces) {
    if (access(path, X_OK) != 0) continue;
    const Result<ProgramEnd> end = run_program({.path = path,
                                                .arguments = {"-f", "-"},
                                                .environment = {},
                                                .input = text,
                                                .bound = kBound});
    if (!end) return end.error();
    if (WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0) return {};
    return {ErrorCode::io, "nft did not take the rules for NodePorts: " +
                               end->errors.substr(0, end->errors.find('\n'))};
  }
  return {ErrorCode::unsupported,
          "NodePorts are not served on the node's own addresses: install nftables"};
}

}  // namespace weir::control
