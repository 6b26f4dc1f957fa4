#include "control/ctl/decode.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "dataplane/api/net.h"

namespace weir::ctl {
namespace {

constexpr uint8_t kIcmp = 1;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmp6 = 58;
constexpr const char* kCut = "[cut]";

// Reads of a frame that never leave it.
class Bytes {
 public:
  explicit Bytes(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool has(size_t count) const noexcept { return bytes_.size() >= count; }
  uint8_t u8(size_t at) const noexcept { return bytes_[at]; }
  uint16_t u16(size_t at) const noexcept {
    return static_cast<uint16_t>(bytes_[at] << 8 | bytes_[at + 1]);
  }
  uint32_t u32(size_t at) const noexcept {
    return static_cast<uint32_t>(u16(at)) << 16 | u16(at + 2);
  }
  Bytes from(size_t at) const noexcept {
    return Bytes(bytes_.subspan(std::min(at, bytes_.size())));
  }

  std::string ip4(size_t at) const { return to_string(ip4_address(u32(at))); }
  std::string ip6(size_t at) const {
    std::array<uint8_t, 16> raw{};
    std::copy_n(bytes_.begin() + at, raw.size(), raw.begin());
    return to_string(ip6_address(raw));
  }
  std::string mac(size_t at) const {
    MacAddress mac;
    std::copy_n(bytes_.begin() + at, mac.bytes.size(), mac.bytes.begin());
    return to_string(mac);
  }

 private:
  std::span<const uint8_t> bytes_;
};

std::string number(uint32_t value) { return std::to_string(value); }

std::string hex(uint32_t value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "0x%04x", value);
  return text.data();
}

struct IcmpName {
  uint8_t type;
  int code;  // -1: any
  const char* name;
};

// RFC 792, RFC 1191
constexpr std::array kIcmpNames{
    IcmpName{0, -1, "echo reply"},        IcmpName{8, -1, "echo request"},
    IcmpName{3, 0, "net unreachable"},    IcmpName{3, 1, "host unreachable"},
    IcmpName{3, 3, "port unreachable"},   IcmpName{3, 4, "fragmentation needed"},
    IcmpName{3, -1, "unreachable"},       IcmpName{11, -1, "time exceeded"},
    IcmpName{12, -1, "parameter problem"}};
// RFC 4443, RFC 4861
constexpr std::array kIcmp6Names{IcmpName{128, -1, "echo request"},
                                 IcmpName{129, -1, "echo reply"},
                                 IcmpName{1, 0, "no route"},
                                 IcmpName{1, 3, "address unreachable"},
                                 IcmpName{1, 4, "port unreachable"},
                                 IcmpName{1, -1, "unreachable"},
                                 IcmpName{2, -1, "packet too big"},
                                 IcmpName{3, -1, "time exceeded"},
                                 IcmpName{4, -1, "parameter problem"},
                                 IcmpName{133, -1, "router solicitation"},
                                 IcmpName{134, -1, "router advertisement"},
                                 IcmpName{135, -1, "neighbour solicitation"},
                                 IcmpName{136, -1, "neighbour advertisement"}};

template <size_t N>
std::string icmp_text(const std::array<IcmpName, N>& names, const char* prefix, Bytes l4) {
  if (!l4.has(8)) return std::string(prefix) + " " + kCut;
  const uint8_t type = l4.u8(0);
  const uint8_t code = l4.u8(1);
  const auto found = std::ranges::find_if(names, [&](const IcmpName& name) {
    return name.type == type && (name.code < 0 || name.code == code);
  });
  std::string text = prefix;
  if (found == names.end()) return text + " type " + number(type) + " code " + number(code);
  text += std::string(" ") + found->name;
  const std::string_view name = found->name;
  if (name.starts_with("echo")) text += " id " + number(l4.u16(4)) + " seq " + number(l4.u16(6));
  if (name == "fragmentation needed") text += " mtu " + number(l4.u16(6));
  if (name == "packet too big") text += " mtu " + number(l4.u32(4));
  return text;
}

std::string nd_target(Bytes l4) {
  const bool names_target = l4.has(24) && (l4.u8(0) == 135 || l4.u8(0) == 136);
  return names_target ? " for " + l4.ip6(8) : "";
}

std::string tcp_text(Bytes l4) {
  if (!l4.has(14)) return std::string("TCP ") + kCut;
  constexpr std::array<const char*, 6> kFlags{"F", "S", "R", "P", ".", "U"};
  std::string flags;
  for (size_t bit = 0; bit < kFlags.size(); ++bit) {
    if ((l4.u8(13) >> bit & 1) != 0) flags += kFlags[bit];
  }
  return "TCP " + number(l4.u16(0)) + " > " + number(l4.u16(2)) + " [" + flags + "] seq " +
         number(l4.u32(4));
}

std::string l4_text(uint8_t protocol, Bytes l4) {
  switch (protocol) {
    case kIcmp: return icmp_text(kIcmpNames, "ICMP", l4);
    case kIcmp6: return icmp_text(kIcmp6Names, "ICMPv6", l4) + nd_target(l4);
    case kTcp: return tcp_text(l4);
    case kUdp:
      if (!l4.has(4)) return std::string("UDP ") + kCut;
      return "UDP " + number(l4.u16(0)) + " > " + number(l4.u16(2));
    default: return "protocol " + number(protocol);
  }
}

std::string ip4_text(Bytes l3) {
  if (!l3.has(20)) return std::string("IPv4 ") + kCut;
  const uint16_t fragment = l3.u16(6);
  const uint32_t offset = (fragment & 0x1fffU) * 8U;
  std::string text = "IPv4 " + l3.ip4(12) + " > " + l3.ip4(16) + " ttl " + number(l3.u8(8)) + " ";
  if (offset != 0) return text + "fragment at " + number(offset);
  const size_t header = (l3.u8(0) & 0x0fU) * 4U;
  text += l4_text(l3.u8(9), l3.from(header));
  return (fragment & 0x2000U) != 0 ? text + " first fragment" : text;
}

// Past the extension headers that may stand before L4 (RFC 8200 section 4.1).
std::string ip6_payload(uint8_t next, Bytes rest) {
  constexpr int kMaxExtensions = 8;
  for (int i = 0; i < kMaxExtensions; ++i) {
    const bool options = next == 0 || next == 43 || next == 60;
    if (!options && next != 44) return l4_text(next, rest);
    if (!rest.has(8)) return kCut;
    if (next == 44 && (rest.u16(2) & 0xfff8U) != 0) {
      return "fragment at " + number(rest.u16(2) & 0xfff8U);
    }
    const size_t length = next == 44 ? 8 : (rest.u8(1) + 1U) * 8U;
    next = rest.u8(0);
    rest = rest.from(length);
  }
  return "more than " + number(kMaxExtensions) + " extension headers";
}

std::string ip6_text(Bytes l3) {
  if (!l3.has(40)) return std::string("IPv6 ") + kCut;
  return "IPv6 " + l3.ip6(8) + " > " + l3.ip6(24) + " hops " + number(l3.u8(7)) + " " +
         ip6_payload(l3.u8(6), l3.from(40));
}

std::string arp_text(Bytes l3) {
  if (!l3.has(28)) return std::string("ARP ") + kCut;
  const uint16_t operation = l3.u16(6);
  if (operation == 1) return "ARP who has " + l3.ip4(24) + " tell " + l3.ip4(14);
  if (operation == 2) return "ARP " + l3.ip4(14) + " is at " + l3.mac(8);
  return "ARP operation " + number(operation);
}

std::string l3_text(uint16_t ethertype, Bytes l3) {
  switch (ethertype) {
    case 0x0800: return ip4_text(l3);
    case 0x86dd: return ip6_text(l3);
    case 0x0806: return arp_text(l3);
    default: return "ethertype " + hex(ethertype);
  }
}

}  // namespace

std::string describe_frame(std::span<const uint8_t> head, uint32_t length) {
  const Bytes frame(head);
  const std::string size = ", " + number(length) + " bytes";
  if (!frame.has(14)) return "runt" + size;
  std::string text = frame.mac(6) + " > " + frame.mac(0) + " ";
  uint16_t ethertype = frame.u16(12);
  Bytes rest = frame.from(14);
  if (ethertype == 0x8100 && rest.has(4)) {
    text += "vlan " + number(rest.u16(0) & 0x0fffU) + " ";
    ethertype = rest.u16(2);
    rest = rest.from(4);
  }
  return text + l3_text(ethertype, rest) + size;
}

}  // namespace weir::ctl
