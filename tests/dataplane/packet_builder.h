// Frames for tests, built field by field. Every field has a valid default; a test
// overrides what it is about. Checksums are computed here by a plain loop that shares
// nothing with the code under test.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "dataplane/core/headers.h"

namespace weir::dataplane::test {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes left, const Bytes& right);
Bytes filler(size_t length, uint8_t seed = 1);
// The naive internet checksum, host order.
uint16_t naive_checksum(const Bytes& bytes);
uint32_t ip(std::string_view text);  // host order
Ip6Bytes ip6_bytes(std::string_view text);
MacAddress mac(std::string_view text);

struct Eth {
  MacAddress destination = kGatewayMac;
  MacAddress source = mac("02:00:00:00:00:0a");  // pod A
  std::vector<uint16_t> vlan_tags{};             // each a whole tag control word
  uint16_t vlan_type = kEtherVlan;
};
Bytes eth(uint16_t ethertype, const Bytes& payload, const Eth& fields = {});

struct Ip4 {
  std::string_view source = "10.1.0.2";
  std::string_view destination = "10.1.0.3";
  uint8_t protocol = kProtoUdp;
  uint8_t ttl = 64;
  uint8_t tos = 0;
  uint8_t version = 4;
  uint16_t identification = 0x1234;
  uint16_t fragment = 0;  // flags and offset as in the header
  Bytes options{};
  std::optional<uint8_t> words{};  // header length field
  std::optional<uint16_t> total_length{};
  std::optional<uint16_t> checksum{};
  bool l4_checksum = true;  // fill in the payload's checksum
};
Bytes ip4(const Ip4& fields, Bytes payload);

struct Ip6 {
  std::string_view source = "fd00::2";
  std::string_view destination = "fd00::3";
  uint8_t next_header = kProtoUdp;
  uint8_t hop_limit = 64;
  uint8_t version = 6;
  std::optional<uint16_t> payload_length{};
  bool l4_checksum = true;
};
// `extensions` stand between the header and the payload, whose protocol is `protocol`.
Bytes ip6(const Ip6& fields, Bytes payload);
Bytes ip6(const Ip6& fields, const Bytes& extensions, uint8_t protocol, Bytes payload);

// An extension header of `length` bytes (a multiple of 8).
Bytes extension(uint8_t next_header, size_t length = 8, uint8_t routing_type = 4);
Bytes fragment_header(uint8_t next_header, uint16_t offset_bytes, bool more, uint32_t id = 7);

struct Udp {
  uint16_t source = 4000;
  uint16_t destination = 5000;
  std::optional<uint16_t> length{};
  uint16_t checksum = 0;
};
Bytes udp(const Bytes& payload = filler(10), const Udp& fields = {});

struct Tcp {
  uint16_t source = 4000;
  uint16_t destination = 5000;
  uint32_t sequence = 1000;
  uint8_t flags = 0x18;
  Bytes options{};
  std::optional<uint8_t> words{};
  uint16_t checksum = 0;
};
Bytes tcp(const Bytes& payload = filler(10), const Tcp& fields = {});

struct Icmp {
  uint8_t type = 8;
  uint8_t code = 0;
  uint32_t rest = 0x0001'0002;
  uint16_t checksum = 0;
};
Bytes icmp(const Icmp& fields = {}, const Bytes& payload = filler(20));

struct ArpFields {
  uint16_t hardware = 1;
  uint16_t protocol = kEtherIp4;
  uint16_t operation = 1;
  MacAddress sender_mac = mac("02:00:00:00:00:0a");
  std::string_view sender = "10.1.0.2";
  MacAddress target_mac{};
  std::string_view target = "10.1.0.1";
};
Bytes arp(const ArpFields& fields = {});

// The body of a neighbour message from its target on, with one link-layer option.
Bytes nd_body(std::string_view target, uint8_t option_type, const MacAddress& address);

}  // namespace weir::dataplane::test
