#include "control/services/node_ports.h"

#include <sys/wait.h>
#include <unistd.h>

#include "control/cni/subprocess.h"
#include "control/services/parse.h"

namespace weir::control {

namespace {

constexpr std::array kPlaces{"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"};
constexpr std::chrono::seconds kBound(10);

// Those of all addresses.
std::string ports_of(const NodePorts& ports, uint8_t protocol) {
  std::string text;
  for (const NodePort& one : ports) {
    if (one.protocol != protocol || !one.address.is_none()) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(one.port);
  }
  return text;
}

std::string turn(const NodePortRules& rules, Family family, const std::string& address,
                 uint8_t protocol, const std::string& ports) {
  const bool ip4 = family == Family::ip4;
  const IpAddress& gateway = ip4 ? rules.gateway4 : rules.gateway6;
  if (gateway.is_none()) return "";
  return std::string("    ") + (ip4 ? "ip" : "ip6") + " daddr " + address +
         " fib daddr type local " + protocol_text(protocol) + " dport { " + ports + " } dnat " +
         (ip4 ? "ip" : "ip6") + " to " + to_string(gateway) + "\n";
}

// Loopback addresses are the kernel's alone.
std::string rules_of(const NodePortRules& rules) {
  std::string text;
  for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp, kProtocolSctp}) {
    const std::string ports = ports_of(rules.ports, protocol);
    if (ports.empty()) continue;
    text += turn(rules, Family::ip4, "!= 127.0.0.0/8", protocol, ports);
    text += turn(rules, Family::ip6, "!= ::1", protocol, ports);
  }
  for (const NodePort& one : rules.ports) {
    if (one.address.is_none()) continue;
    text += turn(rules, one.address.family, to_string(one.address), one.protocol,
                 std::to_string(one.port));
  }
  return text;
}

// -110: before dstnat (-100), which nft knows by name in one of the two hooks only.
std::string port_chains(const NodePortRules& rules) {
  const std::string lines = rules_of(rules);
  if (lines.empty()) return "";
  return "  chain prerouting {\n    type nat hook prerouting priority -110; policy accept;\n"
         "    iifname \"" +
         rules.interface + "\" return\n" + lines +
         "  }\n  chain output {\n    type nat hook output priority -110; policy accept;\n" + lines +
         "  }\n";
}

}  // namespace

std::string to_nft(const NodePortRules& rules) {
  // Adding it first makes that deleting it never fails.
  std::string text = "add table inet weir\ndelete table inet weir\n";
  const std::string chains =
      port_chains(rules) + masquerade_chain(rules.masquerade, rules.interface);
  return chains.empty() ? text : text + "table inet weir {\n" + chains + "}\n";
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
    return {ErrorCode::io, "nft did not take the rules for NodePorts and masquerading: " +
                               end->errors.substr(0, end->errors.find('\n'))};
  }
  return {ErrorCode::unsupported,
          "NodePorts are not served on the node's own addresses, and pods are not masqueraded: "
          "install nftables"};
}

}  // namespace weir::control
