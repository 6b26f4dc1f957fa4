// network.kernel_routes
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>

#include "config/settings.h"

namespace weir::config {

namespace {

constexpr size_t kMaxProtocols = 32;
constexpr uint64_t kLowestProtocol = RTPROT_BOOT;  // below are the kernel's own
constexpr uint64_t kMaxProtocol = 255;
constexpr uint64_t kMaxTable = UINT32_MAX;

struct Protocol {
  std::string_view name;
  uint8_t number;
};
// iproute2's names.
constexpr std::array kProtocols{
    Protocol{"babel", RTPROT_BABEL}, Protocol{"bgp", RTPROT_BGP},       Protocol{"bird", RTPROT_BIRD},
    Protocol{"boot", RTPROT_BOOT},   Protocol{"eigrp", RTPROT_EIGRP},   Protocol{"isis", RTPROT_ISIS},
    Protocol{"ospf", RTPROT_OSPF},   Protocol{"ra", RTPROT_RA},         Protocol{"rip", RTPROT_RIP},
    Protocol{"static", RTPROT_STATIC}, Protocol{"zebra", RTPROT_ZEBRA}};

Status read_protocol(const Json& value, const std::string& path, std::vector<uint8_t>& protocols) {
  const auto known = std::ranges::find_if(kProtocols, [&](const Protocol& one) { return value == one.name; });
  uint64_t number = known != kProtocols.end() ? known->number : 0;
  if (number == 0 && !read_number(value, path, kLowestProtocol, kMaxProtocol, number)) {
    return wrong(path, value,
                 "babel, bgp, bird, boot, eigrp, isis, ospf, ra, rip, static, zebra or a number from 3 to 255");
  }
  protocols.push_back(static_cast<uint8_t>(number));
  return {};
}

Status read_protocols(const Json& value, const std::string& path, std::vector<uint8_t>& protocols) {
  if (!value.is_array() || value.size() > kMaxProtocols) {
    return wrong(path, value, R"(a list of at most 32 protocols, for example ["bird"], [] for none)");
  }
  for (size_t i = 0; i < value.size(); ++i) {
    if (Status s = read_protocol(value[i], element(path, i), protocols); !s) return s;
  }
  return {};
}

}  // namespace

Status parse_kernel_routes(const Json& value, const std::string& path, Config& config) {
  KernelRoutesConfig& routes = config.network.kernel_routes;
  if (!value.is_object()) return wrong(path, value, "an object with table and protocols");
  for (const auto& [name, item] : value.items()) {
    if (name == "protocols") {
      if (Status s = read_protocols(item, path + ".protocols", routes.protocols); !s) return s;
    } else if (name == "table") {
      uint64_t table = 0;
      if (Status s = read_number(item, path + ".table", 1, kMaxTable, table); !s) return s;
      routes.table = static_cast<uint32_t>(table);
    } else {
      return complain(path + "." + name, "is not a known key; use table and protocols");
    }
  }
  return {};
}

}  // namespace weir::config
