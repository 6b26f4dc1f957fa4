#include "dataplane/core/nat.h"

namespace weir::dataplane {
namespace {

constexpr size_t kSctpChecksum = 8;  // RFC 9260 3.1: offset of the field

bool is_icmp_of(Family family, uint8_t protocol) noexcept {
  return protocol == (family == Family::ip4 ? kProtoIcmp4 : kProtoIcmp6);
}

// Where an echo has its identifier, which stands for a port.
std::byte* identifier_of(std::byte* icmp) noexcept { return icmp + offsetof(IcmpHeader, rest); }

// Of the two ports of an echo one is always 0.
uint16_t identifier_in(uint32_t ports) noexcept {
  return static_cast<uint16_t>(ports | ports >> 16);
}

// The ports of an L4 header as they lie there, or what stands for them.
std::optional<uint32_t> ports_at(const Packet& packet, size_t l4_offset, Family family,
                                 uint8_t protocol) noexcept {
  if (has_ports(protocol)) {
    const auto* ports = packet.header<std::array<Be16, 2>>(l4_offset);
    return ports != nullptr ? std::optional(load<uint32_t>(ports)) : std::nullopt;
  }
  const auto* icmp = packet.header<IcmpHeader>(l4_offset);
  if (icmp == nullptr || !is_icmp_of(family, protocol)) return std::nullopt;
  const bool ip4 = family == Family::ip4;
  const auto identifier = load<uint16_t>(&icmp->rest);
  if (icmp->type == (ip4 ? kIcmp4Echo : kIcmp6Echo)) return ports_word(identifier, 0);
  if (icmp->type == (ip4 ? kIcmp4EchoReply : kIcmp6EchoReply)) return ports_word(0, identifier);
  return std::nullopt;
}

void set_ports(FlowKey& key, uint32_t ports) noexcept {
  key.source_port = static_cast<uint16_t>(ports);
  key.destination_port = static_cast<uint16_t>(ports >> 16);
}

// Where the checksum of the quoted L4 header lies; nullptr when the quote or the snapshot
// ends before it, or nothing there may be changed.
Be16* quoted_checksum(Packet& packet, const Quote& quote) noexcept {
  if (quote.key.protocol == kProtoTcp) {
    return packet.header<Be16>(quote.l4_offset + offsetof(TcpHeader, checksum));
  }
  if (is_icmp_of(quote.key.family, quote.key.protocol)) {
    return packet.header<Be16>(quote.l4_offset + offsetof(IcmpHeader, checksum));
  }
  if (quote.key.protocol != kProtoUdp) return nullptr;
  return packet.header<Be16>(quote.l4_offset + offsetof(UdpHeader, checksum));
}

// RFC 792 and RFC 4443 2.1: which messages are errors and quote.
bool is_error(const Packet& packet, const IcmpHeader& icmp) noexcept {
  if (packet.family == Family::ip6) {
    return packet.l4_protocol == kProtoIcmp6 && icmp.type >= kIcmp6Unreachable &&
           icmp.type <= kIcmp6ParameterProblem;
  }
  return packet.l4_protocol == kProtoIcmp4 &&
         (icmp.type == kIcmp4Unreachable || icmp.type == kIcmp4TimeExceeded ||
          icmp.type == kIcmp4ParameterProblem);
}

// Fills in where the quoted packet's L4 header is, and its protocol.
bool find_quoted4(const Packet& packet, Quote& quote) noexcept {
  const auto* ip = packet.header<Ip4Header>(quote.l3_offset);
  if (ip == nullptr || ip->version_ihl >> 4 != 4 || ip->header_length() < sizeof *ip) return false;
  if ((ip->fragment.host() & kIp4OffsetMask) != 0) return false;
  quote.key.protocol = ip->protocol;
  quote.l4_offset = static_cast<uint16_t>(quote.l3_offset + ip->header_length());
  return true;
}

// Behind one fragment header at most: with other extension headers, which are rare, the
// error goes where its header says.
bool find_quoted6(const Packet& packet, Quote& quote) noexcept {
  const auto* ip = packet.header<Ip6Header>(quote.l3_offset);
  if (ip == nullptr || ip->version_class_flow.raw[0] >> 4 != 6) return false;
  quote.key.protocol = ip->next_header;
  quote.l4_offset = static_cast<uint16_t>(quote.l3_offset + sizeof *ip);
  if (quote.key.protocol != kProtoFragment) return true;
  const auto* fragment = packet.header<Ip6FragmentHeader>(quote.l4_offset);
  if (fragment == nullptr || (fragment->offset.host() & kIp6OffsetMask) != 0) return false;
  quote.key.protocol = fragment->next_header;
  quote.l4_offset = static_cast<uint16_t>(quote.l4_offset + sizeof *fragment);
  return true;
}

// --- CRC32c (RFC 9260 appendix A) as polynomials over GF(2), bit 31 the lowest power

constexpr uint32_t kCrc32c = 0x82f6'3b78;
constexpr uint32_t kOne = 0x8000'0000;

constexpr uint32_t times_x(uint32_t a) noexcept { return a >> 1 ^ ((a & 1) != 0 ? kCrc32c : 0); }

constexpr uint32_t multiply(uint32_t a, uint32_t b) noexcept {
  uint32_t product = 0;
  for (; a != 0; a <<= 1) {
    product ^= (a & kOne) != 0 ? b : 0;
    b = times_x(b);
  }
  return product;
}

// x^(8 * digit * 16^position): what so many zero bytes at the end multiply a CRC by.
struct ZeroBytes {
  uint32_t power[4][16];
};
constexpr ZeroBytes kZeroBytes = [] {
  ZeroBytes table{};
  uint32_t step = kOne;
  for (int bit = 0; bit < 8; ++bit) step = times_x(step);
  for (auto& digits : table.power) {
    digits[0] = kOne;
    for (int digit = 1; digit < 16; ++digit) digits[digit] = multiply(digits[digit - 1], step);
    step = multiply(digits[15], step);
  }
  return table;
}();

}  // namespace

// CRCs of messages of one length are linear but for a constant: the difference of two is the
// CRC, without its start and end values, of the messages' difference. That has the ports in
// front and zeros after them.
uint32_t sctp_checksum_change(uint32_t ports_before, uint32_t ports_after, size_t length) noexcept {
  uint32_t crc = ports_before ^ ports_after;
  for (int bit = 0; bit < 32; ++bit) crc = times_x(crc);
  size_t zeros = length - sizeof ports_before;
  for (const auto& digits : kZeroBytes.power) {
    if ((zeros & 15) != 0) crc = multiply(digits[zeros & 15], crc);
    zeros >>= 4;
  }
  return crc;
}

void translate(Packet& packet, const FlowKey& to) noexcept {
  const auto tracked = tracked_key_of(packet);
  const bool ports = tracked.has_value();
  FlowKey from = tracked.value_or(FlowKey{.family = packet.family});
  if (!ports) set_addresses(from, packet.data() + packet.l3_offset);
  const Translation translation{to.source, to.destination, ports_word(to),
                                change_between(from, to)};
  const FlowHeaders headers = headers_of(packet);
  if (ports) return translate(packet, headers, translation);
  rewrite_addresses(headers.l3, headers.family, to.source, to.destination, translation.change);
}

void translate_sctp(std::byte* l4, uint32_t ports, size_t length) noexcept {
  const auto before = load<uint32_t>(l4);
  const auto checksum = load<uint32_t>(l4 + kSctpChecksum);
  store(l4, ports);
  // RFC 9653: zero says that the checksum was left out.
  if (before == ports || checksum == 0) return;
  store(l4 + kSctpChecksum, checksum ^ sctp_checksum_change(before, ports, length));
}

// Only ICMPv6's checksum covers addresses, too.
void translate_rare_l4(const Packet& packet, std::byte* l4, const Translation& to) noexcept {
  if (packet.l4_protocol == kProtoSctp) return translate_sctp(l4, to.ports, packet.l4_length);
  const uint16_t identifier = identifier_in(to.ports);
  uint64_t change = change_of(identifier_of(l4), &identifier, sizeof identifier);
  if (packet.family == Family::ip6) change += to.change.addresses;
  update_checksum(reinterpret_cast<IcmpHeader*>(l4)->checksum, fold(change));
  store(identifier_of(l4), identifier);
}

std::optional<FlowKey> tracked_key_of(const Packet& packet) noexcept {
  if (packet.l4_offset == 0) return std::nullopt;
  const auto ports = ports_at(packet, packet.l4_offset, packet.family, packet.l4_protocol);
  if (!ports) return std::nullopt;
  FlowKey key{.protocol = packet.l4_protocol, .family = packet.family};
  set_addresses(key, packet.data() + packet.l3_offset);
  set_ports(key, *ports);
  return key;
}

std::optional<Quote> quote_of(const Packet& packet) noexcept {
  if (packet.fragment || packet.l4_offset == 0) return std::nullopt;
  if (packet.l4_protocol != kProtoIcmp4 && packet.l4_protocol != kProtoIcmp6) return std::nullopt;
  const auto* icmp = packet.header<IcmpHeader>(packet.l4_offset);
  if (icmp == nullptr || !is_error(packet, *icmp)) return std::nullopt;
  Quote quote{.l3_offset = static_cast<uint16_t>(packet.l4_offset + sizeof *icmp),
              .key = {.family = packet.family}};
  const bool found =
      packet.family == Family::ip4 ? find_quoted4(packet, quote) : find_quoted6(packet, quote);
  if (!found) return std::nullopt;
  const auto ports = ports_at(packet, quote.l4_offset, packet.family, quote.key.protocol);
  if (!ports) return std::nullopt;
  set_addresses(quote.key, packet.data() + quote.l3_offset);
  set_ports(quote.key, *ports);
  return quote;
}

// An IPv4 header sums to the same before and after, as its checksum takes up the change;
// ICMPv6 covers the addresses as they are.
void translate_error(Packet& packet, const Quote& quote, const FlowKey& inner,
                     const FlowKey& outer) noexcept {
  const ChecksumChange quoted = change_between(quote.key, inner);
  const uint32_t ports_before = ports_word(quote.key);
  const uint32_t ports = ports_word(inner);
  rewrite_addresses(packet.data() + quote.l3_offset, packet.family, inner.source,
                    inner.destination, quoted);
  std::byte* const l4 = packet.data() + quote.l4_offset;
  if (has_ports(quote.key.protocol)) {
    store(l4, ports);
  } else {
    store(identifier_of(l4), identifier_in(ports));
  }
  uint64_t change = change_of(&ports_before, &ports, sizeof ports);
  if (Be16* checksum = quoted_checksum(packet, quote); checksum != nullptr) {
    const uint16_t before = checksum->wire();
    if (quote.key.protocol == kProtoUdp) {
      update_udp_checksum(*checksum, quoted.all);
    } else {
      update_checksum(*checksum, quote.key.protocol == kProtoIcmp4 ? fold(change) : quoted.all);
    }
    change += static_cast<uint16_t>(~before);
    change += checksum->wire();
  }
  FlowKey from{.family = packet.family};
  set_addresses(from, packet.data() + packet.l3_offset);
  const ChecksumChange own = change_between(from, outer);
  rewrite_addresses(packet.data() + packet.l3_offset, packet.family, outer.source,
                    outer.destination, own);
  if (packet.family == Family::ip6) {
    change += quoted.addresses;
    change += own.addresses;
  }
  update_checksum(packet.header<IcmpHeader>(packet.l4_offset)->checksum, fold(change));
}

}  // namespace weir::dataplane
