#include "tests/dataplane/packet_builder.h"

#include <arpa/inet.h>

#include <stdexcept>
#include <string>

namespace weir::dataplane::test {
namespace {

void put8(Bytes& out, size_t value) { out.push_back(static_cast<uint8_t>(value)); }
void put16(Bytes& out, size_t value) {
  put8(out, value >> 8);
  put8(out, value);
}
void put32(Bytes& out, size_t value) {
  put16(out, value >> 16);
  put16(out, value);
}
template <class Range>
void put(Bytes& out, const Range& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void set16(Bytes& out, size_t at, uint16_t value) {
  out.at(at) = static_cast<uint8_t>(value >> 8);
  out.at(at + 1) = static_cast<uint8_t>(value);
}

// Where the L4 checksum stands; none for protocols without one or too short payloads.
std::optional<size_t> checksum_field(uint8_t protocol, size_t length) {
  size_t at = 0;
  switch (protocol) {
    case kProtoTcp: at = 16; break;
    case kProtoUdp: at = 6; break;
    case kProtoIcmp4:
    case kProtoIcmp6: at = 2; break;
    default: return std::nullopt;
  }
  return at + 2 <= length ? std::optional(at) : std::nullopt;
}

void fill_checksum(Bytes& l4, uint8_t protocol, const Bytes& pseudo) {
  const auto at = checksum_field(protocol, l4.size());
  if (!at || l4[*at] != 0 || l4[*at + 1] != 0) return;
  uint16_t sum = naive_checksum(pseudo + l4);
  if (protocol == kProtoUdp && sum == 0) sum = 0xffff;
  set16(l4, *at, sum);
}

}  // namespace

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes filler(size_t length, uint8_t seed) {
  Bytes bytes(length);
  for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256 + seed);
  return bytes;
}

uint16_t naive_checksum(const Bytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? bytes[i] * 256U : bytes[i];
    if (sum > 0xffff) sum = (sum & 0xffff) + 1;
  }
  return static_cast<uint16_t>(~sum);
}

uint32_t ip(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1)
    throw std::invalid_argument("ip");
  return ntohl(address.s_addr);
}

Ip6Bytes ip6_bytes(std::string_view text) {
  Ip6Bytes address{};
  if (inet_pton(AF_INET6, std::string(text).c_str(), address.data()) != 1) {
    throw std::invalid_argument("ip6");
  }
  return address;
}

MacAddress mac(std::string_view text) { return parse_mac(text).value(); }

Bytes eth(uint16_t ethertype, const Bytes& payload, const Eth& fields) {
  Bytes out;
  put(out, fields.destination.bytes);
  put(out, fields.source.bytes);
  for (const uint16_t tag : fields.vlan_tags) {
    put16(out, fields.vlan_type);
    put16(out, tag);
  }
  put16(out, ethertype);
  return out + payload;
}

Bytes ip4(const Ip4& fields, Bytes payload) {
  Bytes out;
  const size_t length = 20 + fields.options.size();
  put8(out, fields.version << 4 | fields.words.value_or(static_cast<uint8_t>(length / 4)));
  put8(out, fields.tos);
  put16(out, fields.total_length.value_or(static_cast<uint16_t>(length + payload.size())));
  put16(out, fields.identification);
  put16(out, fields.fragment);
  put8(out, fields.ttl);
  put8(out, fields.protocol);
  put16(out, 0);
  put32(out, ip(fields.source));
  put32(out, ip(fields.destination));
  put(out, fields.options);
  set16(out, 10, fields.checksum.value_or(naive_checksum(out)));
  if (fields.l4_checksum) {
    Bytes pseudo;
    if (fields.protocol != kProtoIcmp4) {
      pseudo.insert(pseudo.end(), out.begin() + 12, out.begin() + 20);
      put16(pseudo, fields.protocol);
      put16(pseudo, payload.size());
    }
    fill_checksum(payload, fields.protocol, pseudo);
  }
  return out + payload;
}

Bytes ip6(const Ip6& fields, Bytes payload) {
  return ip6(fields, {}, fields.next_header, std::move(payload));
}

Bytes ip6(const Ip6& fields, const Bytes& extensions, uint8_t protocol, Bytes payload) {
  Bytes out;
  put32(out, static_cast<size_t>(fields.version) << 28);
  put16(out,
        fields.payload_length.value_or(static_cast<uint16_t>(extensions.size() + payload.size())));
  put8(out, fields.next_header);
  put8(out, fields.hop_limit);
  put(out, ip6_bytes(fields.source));
  put(out, ip6_bytes(fields.destination));
  if (fields.l4_checksum) {
    Bytes pseudo(out.begin() + 8, out.begin() + 40);
    put32(pseudo, payload.size());
    put32(pseudo, protocol);
    fill_checksum(payload, protocol, pseudo);
  }
  return out + extensions + payload;
}

Bytes extension(uint8_t next_header, size_t length, uint8_t routing_type) {
  Bytes out(length);
  out[0] = next_header;
  out[1] = static_cast<uint8_t>(length / 8 - 1);
  out[2] = routing_type;
  return out;
}

Bytes fragment_header(uint8_t next_header, uint16_t offset_bytes, bool more, uint32_t id) {
  Bytes out;
  put8(out, next_header);
  put8(out, 0);
  put16(out, offset_bytes | (more ? 1U : 0U));
  put32(out, id);
  return out;
}

Bytes udp(const Bytes& payload, const Udp& fields) {
  Bytes out;
  put16(out, fields.source);
  put16(out, fields.destination);
  put16(out, fields.length.value_or(static_cast<uint16_t>(8 + payload.size())));
  put16(out, fields.checksum);
  return out + payload;
}

Bytes tcp(const Bytes& payload, const Tcp& fields) {
  Bytes out;
  put16(out, fields.source);
  put16(out, fields.destination);
  put32(out, fields.sequence);
  put32(out, 77);
  const size_t words = (20 + fields.options.size()) / 4;
  put8(out, fields.words.value_or(static_cast<uint8_t>(words)) << 4);
  put8(out, fields.flags);
  put16(out, 512);
  put16(out, fields.checksum);
  put16(out, 0);
  put(out, fields.options);
  return out + payload;
}

Bytes icmp(const Icmp& fields, const Bytes& payload) {
  Bytes out;
  put8(out, fields.type);
  put8(out, fields.code);
  put16(out, fields.checksum);
  put32(out, fields.rest);
  return out + payload;
}

Bytes arp(const ArpFields& fields) {
  Bytes out;
  put16(out, fields.hardware);
  put16(out, fields.protocol);
  put8(out, 6);
  put8(out, 4);
  put16(out, fields.operation);
  put(out, fields.sender_mac.bytes);
  put32(out, ip(fields.sender));
  put(out, fields.target_mac.bytes);
  put32(out, ip(fields.target));
  return out;
}

Bytes nd_body(std::string_view target, uint8_t option_type, const MacAddress& address) {
  Bytes out;
  put(out, ip6_bytes(target));
  put8(out, option_type);
  put8(out, 1);
  put(out, address.bytes);
  return out;
}

}  // namespace weir::dataplane::test
