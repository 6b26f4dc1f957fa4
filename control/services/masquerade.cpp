#include "control/services/masquerade.h"

#include <algorithm>

namespace weir::control {

namespace {

std::vector<IpPrefix> of_family(const std::vector<IpPrefix>& prefixes, Family family) {
  std::vector<IpPrefix> out;
  std::ranges::copy_if(prefixes, std::back_inserter(out), [family](const IpPrefix& prefix) {
    return prefix.address.family == family;
  });
  return out;
}

// nft takes no set whose members overlap, so what another one contains is left out.
std::string set_of(std::vector<IpPrefix> prefixes) {
  std::ranges::sort(prefixes, {}, &IpPrefix::length);
  std::vector<IpPrefix> widest;
  for (const IpPrefix& prefix : prefixes) {
    const auto holds = [&](const IpPrefix& other) { return contains(other, prefix.address); };
    if (std::ranges::none_of(widest, holds)) widest.push_back(prefix);
  }
  std::string text;
  for (const IpPrefix& prefix : widest) text += (text.empty() ? "" : ", ") + to_string(prefix);
  return "{ " + text + " }";
}

// fully-random: ports that others cannot guess, and that workers of the kernel seldom draw
// twice.
std::string rule(const Masquerade& masquerade, Family family) {
  if (!masquerade.covers(family)) return "";
  const std::string ip = family == Family::ip4 ? "ip" : "ip6";
  return "    " + ip + " saddr " + set_of(of_family(masquerade.pods, family)) + " " + ip +
         " daddr != " + set_of(of_family(masquerade.kept, family)) + " masquerade fully-random\n";
}

}  // namespace

bool Masquerade::covers(Family family) const {
  const std::vector<IpPrefix> mine = of_family(kept, family);
  const auto whole = [](const IpPrefix& prefix) { return prefix.length == 0; };
  return !mine.empty() && std::ranges::none_of(mine, whole) && !of_family(pods, family).empty();
}

Masquerade masquerade_of(const config::Config& config) {
  Masquerade out{.pods = config.network.pod_cidrs, .kept = config.network.non_masquerade_cidrs};
  for (const IpPrefix& prefix : config.services.cluster_cidrs) {
    if (out.covers(prefix.address.family)) out.kept.push_back(prefix);
  }
  return out;
}

std::vector<IpPrefix> kept_by_uplinks(const Masquerade& masquerade) {
  std::vector<IpPrefix> kept;
  for (const Family family : {Family::ip4, Family::ip6}) {
    const std::vector<IpPrefix> all{{.address = {.family = family}}};
    const auto mine = masquerade.covers(family) ? of_family(masquerade.kept, family) : all;
    kept.insert(kept.end(), mine.begin(), mine.end());
  }
  const bool any = masquerade.covers(Family::ip4) || masquerade.covers(Family::ip6);
  return any ? kept : std::vector<IpPrefix>{};
}

// Packets for pods go by the host port: what the dataplane gets must keep the addresses that
// its policies and services go by.
std::string masquerade_chain(const Masquerade& masquerade, const std::string& interface) {
  const std::string rules = rule(masquerade, Family::ip4) + rule(masquerade, Family::ip6);
  if (rules.empty()) return "";
  return "  chain postrouting {\n    type nat hook postrouting priority srcnat; policy accept;\n"
         "    oifname \"" +
         interface + "\" return\n" + rules + "  }\n";
}

}  // namespace weir::control
