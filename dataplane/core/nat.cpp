#include "dataplane/core/nat.h"

namespace weir::dataplane {
namespace {

constexpr size_t kPorts = 2 * sizeof(Be16);
constexpr size_t kSctpChecksum = 8;  // RFC 9260 3.1: offset of the field

// What an overwritten word adds to a ones-complement sum: the old one's complement and the
// new one (RFC 1624, equation 3).
template <class Word>
uint64_t replace(void* at, Word now) noexcept {
  const Word gone = static_cast<Word>(~load<Word>(at));
  store(at, now);
  if constexpr (sizeof(Word) == sizeof(uint64_t)) {
    return (gone >> 32) + static_cast<uint32_t>(gone) + (now >> 32) + static_cast<uint32_t>(now);
  } else {
    return uint64_t{gone} + now;
  }
}

uint64_t replace_addresses(Ip4Header& ip, const FlowKey& to) noexcept {
  const uint64_t source = load<uint32_t>(to.source.data());
  const uint64_t destination = load<uint32_t>(to.destination.data());
  return replace(&ip.source, source | destination << 32);
}

uint64_t replace_address(Ip6Bytes& address, const Ip6Bytes& to) noexcept {
  return replace(address.data(), load<uint64_t>(to.data())) +
         replace(address.data() + 8, load<uint64_t>(to.data() + 8));
}

uint64_t replace_addresses(Ip6Header& ip, const FlowKey& to) noexcept {
  return replace_address(ip.source, to.source) + replace_address(ip.destination, to.destination);
}

void update(Be16& field, uint64_t change) noexcept {
  field.set_wire(finish(uint64_t{static_cast<uint16_t>(~field.wire())} + change));
}

// Without a checksum there is nothing to keep right; a computed 0 is sent as all ones.
void update_udp(Be16& field, uint64_t change) noexcept {
  if (field.wire() == 0) return;
  update(field, change);
  if (field.wire() == 0) field.set_wire(0xffff);
}

uint32_t ports_word(const FlowKey& key) noexcept {
  return key.source_port | static_cast<uint32_t>(key.destination_port) << 16;
}

void translate_sctp(std::byte* l4, uint32_t ports, size_t length) noexcept {
  const auto before = load<uint32_t>(l4);
  const auto checksum = load<uint32_t>(l4 + kSctpChecksum);
  store(l4, ports);
  // RFC 9653: zero says that the checksum was left out.
  if (before == ports || checksum == 0) return;
  store(l4 + kSctpChecksum, checksum ^ sctp_checksum_change(before, ports, length));
}

// `addresses`: by how much the pseudo-header changed.
void translate_l4(Packet& packet, uint32_t ports, uint64_t addresses) noexcept {
  std::byte* const l4 = packet.data() + packet.l4_offset;
  if (packet.l4_protocol == kProtoSctp) return translate_sctp(l4, ports, packet.l4_length);
  const bool udp = packet.l4_protocol == kProtoUdp;
  auto& field = *reinterpret_cast<Be16*>(
      l4 + (udp ? offsetof(UdpHeader, checksum) : offsetof(TcpHeader, checksum)));
  const uint64_t change = addresses + replace(l4, ports);
  if (packet.offload.partial_checksum) {
    // The field holds the pseudo-header's sum, not inverted; the rest is added on its way out.
    field.set_wire(fold(field.wire() + addresses));
  } else if (udp) {
    update_udp(field, change);
  } else {
    update(field, change);
  }
}

// Returns by how much the addresses changed. The sum of a whole IPv4 header stays, as its
// checksum takes that up.
uint64_t rewrite_ip(std::byte* at, Family family, const FlowKey& to) noexcept {
  if (family == Family::ip6) return replace_addresses(*reinterpret_cast<Ip6Header*>(at), to);
  auto& ip = *reinterpret_cast<Ip4Header*>(at);
  const uint64_t addresses = replace_addresses(ip, to);
  update(ip.checksum, addresses);
  return addresses;
}

// Where the checksum of the quoted L4 header lies; nullptr when the quote or the snapshot
// ends before it, or nothing there may be changed.
Be16* quoted_checksum(Packet& packet, const Quote& quote) noexcept {
  if (quote.key.protocol == kProtoTcp) {
    return packet.header<Be16>(quote.l4_offset + offsetof(TcpHeader, checksum));
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
  size_t zeros = length - kPorts;
  for (const auto& digits : kZeroBytes.power) {
    if ((zeros & 15) != 0) crc = multiply(digits[zeros & 15], crc);
    zeros >>= 4;
  }
  return crc;
}

bool translatable(const Packet& packet, const FlowKey& to) noexcept {
  if (!packet.fragment || packet.l4_protocol != kProtoSctp || packet.l4_offset == 0) return true;
  return load<uint32_t>(packet.data() + packet.l4_offset) == ports_word(to);
}

void translate(Packet& packet, const FlowKey& to) noexcept {
  const uint64_t addresses = rewrite_ip(packet.data() + packet.l3_offset, packet.family, to);
  if (packet.l4_offset != 0 && has_ports(packet.l4_protocol)) {
    translate_l4(packet, ports_word(to), addresses);
  }
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
  if (!found || !has_ports(quote.key.protocol)) return std::nullopt;
  const auto* ports = packet.header<std::array<Be16, 2>>(quote.l4_offset);
  if (ports == nullptr) return std::nullopt;
  set_addresses(quote.key, packet.data() + quote.l3_offset);
  quote.key.source_port = (*ports)[0].wire();
  quote.key.destination_port = (*ports)[1].wire();
  return quote;
}

void translate_error(Packet& packet, const Quote& quote, const FlowKey& inner,
                     const FlowKey& outer) noexcept {
  const bool ip6 = packet.family == Family::ip6;
  const uint64_t addresses = rewrite_ip(packet.data() + quote.l3_offset, packet.family, inner);
  const uint64_t ports = replace(packet.data() + quote.l4_offset, ports_word(inner));
  uint64_t change = ports + (ip6 ? addresses : 0);  // of all that the ICMP checksum covers
  if (Be16* checksum = quoted_checksum(packet, quote); checksum != nullptr) {
    const uint16_t before = checksum->wire();
    if (quote.key.protocol == kProtoUdp) {
      update_udp(*checksum, addresses + ports);
    } else {
      update(*checksum, addresses + ports);
    }
    change += static_cast<uint16_t>(~before);
    change += checksum->wire();
  }
  const uint64_t pseudo_header_change =
      rewrite_ip(packet.data() + packet.l3_offset, packet.family, outer);
  if (ip6) change += pseudo_header_change;
  update(packet.header<IcmpHeader>(packet.l4_offset)->checksum, change);
}

}  // namespace weir::dataplane
