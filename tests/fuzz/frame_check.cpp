#include "tests/fuzz/frame_check.h"

#include <optional>

#include "tests/fuzz/input.h"

namespace weir::fuzz {

using dataplane::Gso;
using dataplane::test::operator+;
using dataplane::test::naive_checksum;

namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kIp6 = 40;
constexpr size_t kTcpChecksum = 16;
constexpr uint8_t kUdp = 17;

size_t be16(const Bytes& bytes, size_t at) {
  WEIR_INVARIANT(at + 2 <= bytes.size());
  return bytes[at] * 256U + bytes[at + 1];
}

uint32_t be32(const Bytes& bytes, size_t at) {
  return static_cast<uint32_t>(be16(bytes, at) << 16 | be16(bytes, at + 2));
}

void put16(Bytes& bytes, size_t at, size_t value) {
  bytes[at] = static_cast<uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<uint8_t>(value);
}

Bytes part(const Bytes& bytes, size_t from, size_t to = SIZE_MAX) {
  to = std::min(to, bytes.size());
  WEIR_INVARIANT(from <= to);
  return {bytes.begin() + static_cast<ptrdiff_t>(from), bytes.begin() + static_cast<ptrdiff_t>(to)};
}

bool is_ip4(const Bytes& packet) { return packet[0] >> 4 == 4; }
size_t header_length(const Bytes& packet) { return is_ip4(packet) ? (packet[0] & 15U) * 4U : kIp6; }

// A router changes the hop count and with it IPv4's header checksum.
Bytes without_hop(Bytes packet) {
  if (is_ip4(packet)) {
    packet[8] = packet[10] = packet[11] = 0;
  } else {
    packet[7] = 0;
  }
  return packet;
}

// The checksum that completes the partial one in `l4` for `length` bytes of L4 instead of
// the `summed` that the sender counted.
size_t completed(Bytes l4, size_t field, size_t partial, size_t summed, uint8_t protocol) {
  Bytes words(8);
  put16(words, 0, partial);
  put16(words, 2, 0xffff - summed / 65536);
  put16(words, 4, 0xffff - summed % 65536);
  put16(words, 6, l4.size() % 65536);
  put16(l4, field, 0);
  const Bytes high{0, static_cast<uint8_t>(l4.size() / 65536)};
  const size_t sum = naive_checksum(words + high + l4);
  return protocol == kUdp && sum == 0 ? 0xffff : sum;
}

// Zero and minus zero are one number in ones' complement.
bool same_sum(size_t a, size_t b) { return a % 0xffff == b % 0xffff; }

struct PartialChecksum {
  size_t start = 0;  // of L4, in the IP packet
  size_t field = 0;  // in L4
  size_t value = 0;
  size_t length = 0;  // of L4
  uint8_t protocol = 0;
};

PartialChecksum partial_of(const Original& original, const Bytes& packet) {
  const size_t start = original.offload.checksum_start - original.l3();
  const size_t field = original.offload.checksum_offset;
  const uint8_t protocol = field == kTcpChecksum ? uint8_t{6} : kUdp;
  return {start, field, be16(packet, start + field), packet.size() - start, protocol};
}

void check_segments(const Original& original, const Bytes& packet, const std::vector<Bytes>& sent) {
  const PartialChecksum partial = partial_of(original, packet);
  const size_t header = partial.start + (packet[partial.start + 12] >> 4) * 4U;
  Bytes payload;
  for (const Bytes& frame : sent) {
    const Bytes segment = part(frame, kEthernet);
    const Bytes l4 = part(segment, partial.start);
    const size_t sequence = be32(packet, partial.start + 4) + payload.size();
    WEIR_INVARIANT(be32(l4, 4) == static_cast<uint32_t>(sequence));
    WEIR_INVARIANT(segment.size() - header <= original.offload.segment_size);
    WEIR_INVARIANT(same_sum(be16(l4, kTcpChecksum),
                            completed(l4, kTcpChecksum, partial.value, partial.length, 6)));
    payload = payload + part(segment, header);
  }
  WEIR_INVARIANT(payload == part(packet, header));
}

void check_fragments(const Bytes& packet, const std::vector<Bytes>& sent) {
  const size_t header = header_length(packet);
  const size_t fragment = be16(packet, 6);
  Bytes payload;
  for (size_t i = 0; i < sent.size(); ++i) {
    const Bytes piece = part(sent[i], kEthernet);
    const size_t field = be16(piece, 6);
    WEIR_INVARIANT((field & 0x1fff) == (fragment & 0x1fff) + payload.size() / 8);
    const bool more = i + 1 < sent.size() || (fragment & 0x2000) != 0;
    WEIR_INVARIANT(((field & 0x2000) != 0) == more);
    WEIR_INVARIANT(be16(piece, 4) == be16(packet, 4));
    WEIR_INVARIANT(payload.size() % 8 == 0);
    payload = payload + part(piece, header_length(piece));
  }
  WEIR_INVARIANT(payload == part(packet, header));
}

// What the sender left out, put in.
Bytes with_checksum(const Original& original, Bytes packet) {
  if (!original.offload.partial_checksum) return packet;
  const PartialChecksum partial = partial_of(original, packet);
  const size_t sum = completed(part(packet, partial.start), partial.field, partial.value,
                               partial.length, partial.protocol);
  put16(packet, partial.start + partial.field, sum);
  return packet;
}

Bytes pseudo_header(const Bytes& packet, size_t l4_length, uint8_t protocol) {
  Bytes words = is_ip4(packet) ? part(packet, 12, 20) : part(packet, 8, 40);
  return words +
         Bytes{static_cast<uint8_t>(l4_length >> 8), static_cast<uint8_t>(l4_length), 0, protocol};
}

// What the L4 checksum comes to over TCP or UDP right behind the IP header; nullopt: there is
// none to keep right.
std::optional<size_t> checksum_remainder(const Bytes& packet) {
  const uint8_t protocol = is_ip4(packet) ? packet[9] : packet[6];
  if (protocol != 6 && protocol != kUdp) return std::nullopt;
  if (is_ip4(packet) && (be16(packet, 6) & 0x3fff) != 0) return std::nullopt;
  const Bytes l4 = part(packet, header_length(packet));
  if (protocol == kUdp && be16(l4, 6) == 0) return std::nullopt;
  return naive_checksum(pseudo_header(packet, l4.size(), protocol) + l4);
}

}  // namespace

Bytes Original::packet() const {
  Bytes packet = part(frame, l3());
  WEIR_INVARIANT(packet.size() >= 20);
  packet.resize(is_ip4(packet) ? be16(packet, 2) : kIp6 + be16(packet, 4));
  return packet;
}

void check_wire_format(const Bytes& frame, const MacAddress& to, uint32_t mtu) {
  WEIR_INVARIANT(frame.size() >= 34);
  WEIR_INVARIANT(std::equal(to.bytes.begin(), to.bytes.end(), frame.begin()));
  WEIR_INVARIANT(std::equal(kGatewayMac.bytes.begin(), kGatewayMac.bytes.end(), frame.begin() + 6));
  WEIR_INVARIANT(mtu == 0 || frame.size() - kEthernet <= mtu);
  const size_t type = be16(frame, 12);
  if (type == 0x0806) return WEIR_INVARIANT(frame.size() == kEthernet + 28);
  const Bytes packet = part(frame, kEthernet);
  if (type == 0x0800) {
    WEIR_INVARIANT(is_ip4(packet) && header_length(packet) >= 20);
    WEIR_INVARIANT(be16(packet, 2) == packet.size() && packet[8] > 0);
    WEIR_INVARIANT(naive_checksum(part(packet, 0, header_length(packet))) == 0);
  } else {
    WEIR_INVARIANT(type == 0x86dd && packet[0] >> 4 == 6);
    WEIR_INVARIANT(kIp6 + be16(packet, 4) == packet.size() && packet[7] > 0);
  }
}

void check_forwarded(const Original& original, const std::vector<Bytes>& sent) {
  WEIR_INVARIANT(!sent.empty());
  const Bytes packet = original.packet();
  if (original.offload.gso != Gso::none) return check_segments(original, packet, sent);
  const Bytes whole = with_checksum(original, packet);
  if (sent.size() > 1) return check_fragments(whole, sent);
  WEIR_INVARIANT(without_hop(part(sent[0], kEthernet)) == without_hop(whole));
}

void check_translated(const Original& original, const std::vector<Bytes>& sent) {
  if (sent.size() != 1 || original.offload.gso != Gso::none) return;
  const Bytes before = with_checksum(original, original.packet());
  const Bytes after = part(sent[0], kEthernet);
  WEIR_INVARIANT(before.size() == after.size());
  const auto remainder = checksum_remainder(before);
  if (!remainder) return;
  const auto remainder_after = checksum_remainder(after);
  WEIR_INVARIANT(remainder_after && same_sum(*remainder, *remainder_after));
  const size_t header = header_length(before) + (before[is_ip4(before) ? 9 : 6] == kUdp ? 8 : 20);
  WEIR_INVARIANT(part(before, header) == part(after, header));
}

void check_generated(const Original& original, const Bytes& sent) {
  const Bytes answer = part(sent, kEthernet);
  if (be16(sent, 12) == 0x0806) return;
  const size_t header = header_length(answer);
  const bool ip4 = is_ip4(answer);
  const Bytes icmp = part(answer, header);
  const Bytes pseudo = ip4 ? Bytes{} : pseudo_header(answer, icmp.size(), 58);
  const bool error = ip4 ? icmp[0] != 0 : icmp[0] < 128;
  // An echo reply keeps a wrong checksum wrong: it is updated, not computed.
  if (error) WEIR_INVARIANT(naive_checksum(pseudo + icmp) == 0);
  if (!error) return;
  WEIR_INVARIANT(answer.size() <= (ip4 ? 576U : 1280U));
  const Bytes quote = part(icmp, 8);
  const Bytes packet = original.packet();
  WEIR_INVARIANT(quote.size() <= packet.size());
  Bytes start = part(packet, 0, quote.size());
  Bytes quoted = quote;
  if (ip4) quoted[10] = quoted[11] = start[10] = start[11] = 0;  // 0 and 0xffff are the same sum
  WEIR_INVARIANT(quoted == start);
}

}  // namespace weir::fuzz
