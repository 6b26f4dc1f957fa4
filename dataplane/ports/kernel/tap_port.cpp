#include "dataplane/ports/kernel/tap_port.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "dataplane/ports/kernel/virtio_header.h"

namespace weir::dataplane {

namespace {

// Reads one frame. > 0: its bytes with the virtio header; 0: nothing there.
size_t read_frame(int fd, VirtioHeader& header, Packet& packet, std::byte* buffer, size_t size) noexcept {
  std::array<iovec, 3> parts{{{&header, sizeof header},
                              {packet.storage + kHeadroom, kHeadSize},
                              {buffer, size}}};
  const ssize_t bytes = readv(fd, parts.data(), parts.size());
  return bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

void describe(Packet& packet, Segment* segments, std::byte* buffer, uint32_t length) noexcept {
  packet.length = length;
  packet.head_offset = kHeadroom;
  packet.head_length = static_cast<uint16_t>(std::min<uint32_t>(length, kHeadSize));
  packet.body = segments;
  packet.body_count = length > kHeadSize ? 1 : 0;
  segments[0] = {buffer, length - packet.head_length};
}

Drop drop_for(int error) noexcept {
  switch (error) {
    case EIO:  // the device is down
    case EBADFD: return Drop::tx_port_down;
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM: return Drop::tx_ring_full;
    default: return Drop::tx_kernel_refused;
  }
}

bool write_frame(int fd, const Packet& packet) noexcept {
  VirtioHeader header = header_from(packet.offload, packet.l4_offset);
  std::array<iovec, kMaxSegments + 2> parts;
  parts[0] = {&header, sizeof header};
  parts[1] = {const_cast<std::byte*>(packet.data()), packet.head_length};
  for (uint16_t i = 0; i < packet.body_count; ++i) {
    parts[i + 2U] = {const_cast<std::byte*>(packet.body[i].data), packet.body[i].length};
  }
  return writev(fd, parts.data(), packet.body_count + 2) > 0;
}

}  // namespace

Status TapPort::prepare(int tap) {
  ifreq request{};
  if (ioctl(tap, TUNGETIFF, &request) != 0) {
    return {ErrorCode::invalid_argument, "the descriptor given for this port is no attached tap device"};
  }
  constexpr int kNeeded = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if ((request.ifr_flags & kNeeded) != kNeeded) {
    return {ErrorCode::invalid_argument, "the tap device must have IFF_TAP, IFF_NO_PI and IFF_VNET_HDR"};
  }
  int header_size = sizeof(VirtioHeader);
  constexpr unsigned long kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (ioctl(tap, TUNSETVNETHDRSZ, &header_size) != 0 ||
      ioctl(tap, TUNSETOFFLOAD, kOffloads) != 0) {
    return errno_error("the kernel refuses checksum and segmentation offload on a tap device", errno);
  }
  const int flags = fcntl(tap, F_GETFL);
  if (flags < 0 || fcntl(tap, F_SETFL, flags | O_NONBLOCK) != 0) {
    return errno_error("cannot make a tap device non-blocking", errno);
  }
  return {};
}

Result<std::unique_ptr<Port>> TapPort::make(api::Fd tap) {
  if (const Status usable = prepare(tap.get()); !usable) return usable.error();
  return std::unique_ptr<Port>(new TapPort(std::move(tap)));
}

uint16_t TapPort::rx(const RxBatch& batch, DropSink& drops) noexcept {
  uint16_t filled = 0;
  // Refused frames count as attempts, so that they cannot hold the worker here.
  for (size_t attempt = 0; attempt < batch.packets.size(); ++attempt) {
    Packet& packet = batch.packets[filled];
    std::byte* buffer = batch.buffers + filled * batch.buffer_stride;
    VirtioHeader header;
    const size_t bytes = read_frame(tap_.get(), header, packet, buffer, batch.buffer_stride);
    if (bytes <= sizeof header) break;
    const size_t length = bytes - sizeof header;
    const std::optional<Offload> offload = offload_from(header);
    if (!offload || length == kHeadSize + batch.buffer_stride) {
      drops.add(offload ? Drop::rx_truncated : Drop::rx_offload);
      continue;
    }
    packet.offload = *offload;
    describe(packet, batch.segments.data() + filled * kMaxSegments, buffer, static_cast<uint32_t>(length));
    ++filled;
  }
  return filled;
}

uint16_t TapPort::tx(std::span<Packet* const> packets, Drop* drops) noexcept {
  uint16_t sent = 0;
  for (size_t i = 0; i < packets.size(); ++i) {
    if (write_frame(tap_.get(), *packets[i])) {
      ++sent;
    } else {
      drops[i] = drop_for(errno);
    }
  }
  return sent;
}

void TapPort::state(api::PortState& state) const {
  ifreq request{};
  const bool attached = ioctl(tap_.get(), TUNGETIFF, &request) == 0;
  state.link = attached ? api::LinkState::up : api::LinkState::down;
  if (!attached) api::set_text(state.detail, "the interface was deleted in the pod");
}

}  // namespace weir::dataplane
