// Makes of one packet the frames that a port can take: completes checksums, cuts TCP
// super-frames into segments and too long IPv4 packets into fragments.
//
// Threads: the worker that owns the packet. Nothing here allocates. A piece is a copy
// of the headers plus slices of the packet's body: no body byte is copied.
// Sources: virtio 1.2 5.1.6 (offload meaning), RFC 791 3.2 (fragmentation), RFC 9293.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "dataplane/core/packet.h"

namespace weir::dataplane {

// Frames made of one packet at most: bounds what a sender can make a worker do.
inline constexpr uint32_t kMaxPieces = 1024;

// Where a worker builds pieces; one per worker, reused.
struct PieceScratch {
  Packet piece;
  std::array<Segment, kMaxSegments> segments;
  std::array<std::byte, kHeadroom + kHeadSize> header;
};

// Whether a packet must go through for_each_piece() on its way to a port.
inline bool needs_pieces(const Packet& packet, bool takes_offload) noexcept {
  return packet.tx_mtu != 0 || (packet.offload.any() && !takes_offload);
}

using EmitPiece = bool (*)(void* context, Packet& piece);
[[nodiscard]] Drop make_pieces(Packet& packet, bool takes_offload, PieceScratch& scratch,
                               EmitPiece emit, void* context) noexcept;

// Calls emit(Packet&) -> bool for every frame that `packet` becomes, in order; false
// stops. A piece is valid during the call and needs no offload, except that a packet
// which is left whole keeps one that takes_offload covers. The packet itself is changed.
// Returns Drop::count, or the reason when the packet cannot be cut; nothing was emitted then.
template <class F>
[[nodiscard]] Drop for_each_piece(Packet& packet, bool takes_offload, PieceScratch& scratch,
                                  F&& emit) noexcept {
  return make_pieces(
      packet, takes_offload, scratch,
      [](void* context, Packet& piece) {
        return (*static_cast<std::remove_reference_t<F>*>(context))(piece);
      },
      const_cast<void*>(static_cast<const void*>(std::addressof(emit))));
}

}  // namespace weir::dataplane
