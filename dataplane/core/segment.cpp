#include "dataplane/core/segment.h"

#include <algorithm>

#include "dataplane/core/checksum.h"
#include "dataplane/core/headers.h"

namespace weir::dataplane {
namespace {

constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNop = 1;
constexpr uint8_t kOptionCopied = 0x80;  // RFC 791 3.1: also in later fragments

// A reader of the packet's bytes in order; hands out slices, copies none.
class PayloadCursor {
 public:
  PayloadCursor(const Packet& packet, size_t from) noexcept : packet_(packet), head_at_(from) {
    if (from <= packet.head_length) return;
    head_at_ = packet.head_length;
    skip_body(from - packet.head_length);
  }

  // Moves the next `bytes` bytes into the piece, after its header bytes: those of the
  // snapshot as a copy, the others as slices. False when the packet has fewer.
  bool take(Packet& piece, Segment* slices, size_t bytes) noexcept {
    const size_t in_head = std::min<size_t>(bytes, packet_.head_length - head_at_);
    std::memcpy(piece.data() + piece.head_length, packet_.data() + head_at_, in_head);
    piece.head_length = static_cast<uint16_t>(piece.head_length + in_head);
    head_at_ += in_head;
    bytes -= in_head;
    piece.body = slices;
    piece.body_count = 0;
    while (bytes > 0 && body_at_ < packet_.body_count) {
      const Segment& segment = packet_.body[body_at_];
      const auto part = static_cast<uint32_t>(std::min<size_t>(bytes, segment.length - offset_));
      if (part > 0) slices[piece.body_count++] = {segment.data + offset_, part};
      advance(part);
      bytes -= part;
    }
    return bytes == 0;
  }

 private:
  void skip_body(size_t bytes) noexcept {
    while (bytes > 0 && body_at_ < packet_.body_count) {
      const auto part =
          static_cast<uint32_t>(std::min<size_t>(bytes, packet_.body[body_at_].length - offset_));
      advance(part);
      bytes -= part;
    }
  }
  void advance(uint32_t bytes) noexcept {
    offset_ += bytes;
    if (offset_ == packet_.body[body_at_].length) {
      ++body_at_;
      offset_ = 0;
    }
  }

  const Packet& packet_;
  size_t head_at_;
  uint16_t body_at_ = 0;
  uint32_t offset_ = 0;
};

// Copies the frame's first `bytes` bytes, which may end past the snapshot. Once: what is
// decided later is decided on this copy.
bool copy_front(const Packet& packet, size_t bytes, std::byte* to) noexcept {
  const size_t in_head = std::min<size_t>(bytes, packet.head_length);
  std::memcpy(to, packet.data(), in_head);
  size_t copied = in_head;
  for (uint16_t i = 0; i < packet.body_count && copied < bytes; ++i) {
    const size_t part = std::min<size_t>(packet.body[i].length, bytes - copied);
    std::memcpy(to + copied, packet.body[i].data, part);
    copied += part;
  }
  return copied == bytes;
}

// A piece with the packet's identity and a header copied from `header`.
void start_piece(Packet& piece, const Packet& packet, const std::byte* header,
                 size_t bytes) noexcept {
  piece.head_offset = 0;
  piece.head_length = static_cast<uint16_t>(bytes);
  piece.in_port = packet.in_port;
  piece.out_port = packet.out_port;
  piece.l3_offset = packet.l3_offset;
  piece.l4_offset = packet.l4_offset;
  piece.family = packet.family;
  piece.l4_protocol = packet.l4_protocol;
  piece.drop = packet.drop;
  piece.generated = packet.generated;
  piece.fragment = packet.fragment;
  piece.adjacency = packet.adjacency;
  piece.offload = {};
  piece.tx_mtu = 0;
  std::memcpy(piece.data(), header, bytes);
}

// The checksum field holds the pseudo-header's sum; the rest is added here.
bool complete_checksum(Packet& packet) noexcept {
  if (!packet.offload.partial_checksum) return true;
  const size_t start = packet.offload.checksum_start;
  auto* field = packet.header<Be16>(start + packet.offload.checksum_offset);
  if (field == nullptr || start > packet.length) return false;
  const uint16_t sum = finish(sum_frame(packet, start, packet.length));
  // RFC 768: 0 says that there is no checksum; 0xffff is the same sum.
  field->set_wire(packet.l4_protocol == kProtoUdp && sum == 0 ? 0xffff : sum);
  packet.offload = {};
  return true;
}

// What all segments of one super-frame share.
struct TcpCut {
  uint32_t header_length;  // Ethernet, IP and TCP
  uint32_t payload;
  uint32_t count;
  uint32_t l4_length;   // of the super-frame: what its pseudo-header sum counted
  uint64_t pseudo_sum;  // as the sender left it in the checksum field
};

uint64_t length_words(uint32_t length) noexcept { return __builtin_bswap32(length); }

void finish_tcp(Packet& piece, const TcpCut& cut, uint32_t index, uint32_t offset) noexcept {
  const uint32_t l4_length = piece.length - piece.l4_offset;
  if (piece.family == Family::ip4) {
    auto* ip = piece.header<Ip4Header>(piece.l3_offset);
    ip->total_length.set(static_cast<uint16_t>(piece.length - piece.l3_offset));
    ip->identification.set(static_cast<uint16_t>(ip->identification.host() + index));
    ip->checksum = {};
    ip->checksum.set_wire(header_checksum(*ip));
  } else {
    auto* ip = piece.header<Ip6Header>(piece.l3_offset);
    ip->payload_length.set(static_cast<uint16_t>(piece.length - piece.l3_offset - sizeof *ip));
  }
  auto* tcp = piece.header<TcpHeader>(piece.l4_offset);
  tcp->sequence.set(tcp->sequence.host() + offset);
  if (index + 1 != cut.count) tcp->flags &= static_cast<uint8_t>(~(kTcpFin | kTcpPush));
  if (index != 0) tcp->flags &= static_cast<uint8_t>(~kTcpCwr);
  // RFC 1624 on the pseudo-header's length, so that routing headers stay right.
  tcp->checksum = {};
  const uint64_t pseudo = cut.pseudo_sum + fold(length_words(l4_length)) +
                          static_cast<uint16_t>(~fold(length_words(cut.l4_length)));
  tcp->checksum.set_wire(finish(pseudo + sum_frame(piece, piece.l4_offset, piece.length)));
  piece.l4_length = static_cast<uint16_t>(l4_length);
}

Drop cut_tcp(Packet& packet, PieceScratch& scratch, EmitPiece emit, void* context) noexcept {
  const auto* tcp = packet.header<TcpHeader>(packet.l4_offset);
  const uint32_t mss = packet.offload.segment_size;
  if (tcp == nullptr || packet.l4_offset == 0 || mss == 0) return Drop::tx_segmentation;
  TcpCut cut{};
  cut.header_length = packet.l4_offset + (tcp->data_offset >> 4) * 4U;
  if (cut.header_length > packet.length || cut.header_length > scratch.header.size()) {
    return Drop::tx_segmentation;
  }
  cut.payload = packet.length - cut.header_length;
  cut.count = std::max((cut.payload + mss - 1) / mss, 1U);
  cut.l4_length = packet.length - packet.l4_offset;
  cut.pseudo_sum = tcp->checksum.wire();
  if (cut.count > kMaxPieces || !copy_front(packet, cut.header_length, scratch.header.data())) {
    return Drop::tx_segmentation;
  }
  PayloadCursor cursor(packet, cut.header_length);
  for (uint32_t i = 0; i < cut.count; ++i) {
    const uint32_t offset = i * mss;
    const uint32_t bytes = std::min(mss, cut.payload - offset);
    start_piece(scratch.piece, packet, scratch.header.data(), cut.header_length);
    if (!cursor.take(scratch.piece, scratch.segments.data(), bytes)) return Drop::tx_segmentation;
    scratch.piece.length = cut.header_length + bytes;
    finish_tcp(scratch.piece, cut, i, offset);
    if (!emit(context, scratch.piece)) break;
  }
  return Drop::count;
}

// Reduces a header copy to the options that later fragments carry. Returns its length.
size_t keep_copied_options(std::byte* ip_bytes, size_t header_length) noexcept {
  size_t out = sizeof(Ip4Header);
  for (size_t at = sizeof(Ip4Header); at < header_length;) {
    const auto type = static_cast<uint8_t>(ip_bytes[at]);
    if (type == kOptionEnd) break;
    // parse checked that options are whole; anything else ends the walk.
    const size_t length = type == kOptionNop       ? 1
                          : at + 1 < header_length ? static_cast<uint8_t>(ip_bytes[at + 1])
                                                   : 0;
    if (length == 0 || at + length > header_length) break;
    if ((type & kOptionCopied) != 0) {
      std::memmove(ip_bytes + out, ip_bytes + at, length);
      out += length;
    }
    at += length;
  }
  while (out % 4 != 0) ip_bytes[out++] = std::byte{kOptionEnd};
  ip_bytes[0] = static_cast<std::byte>(0x40 | out / 4);
  return out;
}

void finish_fragment(Packet& piece, uint32_t offset, bool more) noexcept {
  auto* ip = piece.header<Ip4Header>(piece.l3_offset);
  ip->total_length.set(static_cast<uint16_t>(piece.length - piece.l3_offset));
  ip->fragment.set(static_cast<uint16_t>(offset / 8 | (more ? kIp4MoreFragments : 0)));
  ip->checksum = {};
  ip->checksum.set_wire(header_checksum(*ip));
  piece.fragment = true;
  if (offset != 0) piece.l4_offset = 0;
  piece.l4_length = static_cast<uint16_t>(piece.length - piece.l3_offset - ip->header_length());
}

// RFC 791 3.2. A packet that is a fragment already is cut again.
Drop cut_ip4(Packet& packet, PieceScratch& scratch, EmitPiece emit, void* context) noexcept {
  const auto* ip = packet.header<Ip4Header>(packet.l3_offset);
  if (ip == nullptr || packet.family != Family::ip4) return Drop::tx_segmentation;
  size_t ip_length = ip->header_length();
  const uint32_t front = static_cast<uint32_t>(packet.l3_offset + ip_length);
  if (front > packet.head_length || packet.tx_mtu < ip_length + 8) return Drop::tx_segmentation;
  const uint32_t first_offset = (ip->fragment.host() & kIp4OffsetMask) * 8U;
  const bool more_after = (ip->fragment.host() & kIp4MoreFragments) != 0;
  const uint32_t payload = packet.length - front;
  if (payload / ((packet.tx_mtu - ip_length) / 8 * 8) >= kMaxPieces) return Drop::tx_segmentation;

  std::byte* header = scratch.header.data();
  std::memcpy(header, packet.data(), front);
  PayloadCursor cursor(packet, front);
  for (uint32_t done = 0; done < payload;) {
    const auto room = static_cast<uint32_t>((packet.tx_mtu - ip_length) / 8 * 8);
    const bool last = payload - done <= packet.tx_mtu - ip_length;
    const uint32_t bytes = last ? payload - done : room;
    start_piece(scratch.piece, packet, header, packet.l3_offset + ip_length);
    if (!cursor.take(scratch.piece, scratch.segments.data(), bytes)) return Drop::tx_segmentation;
    scratch.piece.length = static_cast<uint32_t>(packet.l3_offset + ip_length + bytes);
    finish_fragment(scratch.piece, first_offset + done, !last || more_after);
    if (!emit(context, scratch.piece)) break;
    if (done == 0) ip_length = keep_copied_options(header + packet.l3_offset, ip_length);
    done += bytes;
  }
  return Drop::count;
}

}  // namespace

Drop make_pieces(Packet& packet, bool takes_offload, PieceScratch& scratch, EmitPiece emit,
                 void* context) noexcept {
  if (packet.offload.gso != Gso::none && !takes_offload)
    return cut_tcp(packet, scratch, emit, context);
  const bool cut = packet.tx_mtu != 0 && packet.length - packet.l3_offset > packet.tx_mtu;
  if ((cut || !takes_offload) && !complete_checksum(packet)) return Drop::tx_segmentation;
  if (cut) return cut_ip4(packet, scratch, emit, context);
  emit(context, packet);
  return Drop::count;
}

}  // namespace weir::dataplane
