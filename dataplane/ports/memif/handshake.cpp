#include "dataplane/ports/memif/handshake.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "dataplane/ports/memif/interrupts.h"

namespace weir::dataplane::memif {

namespace {

Error refuse(std::string reason) { return {ErrorCode::invalid_argument, std::move(reason)}; }

// Takes the same time wherever the two differ.
bool secret_matches(const std::string& expected, const std::array<char, 24>& given) {
  std::array<char, 24> wanted{};
  std::memcpy(wanted.data(), expected.data(), std::min(expected.size(), wanted.size()));
  unsigned difference = 0;
  for (size_t i = 0; i < wanted.size(); ++i)
    difference |= static_cast<uint8_t>(wanted[i] ^ given[i]);
  return difference == 0;
}

uint32_t cookie_of(const Region& region, const RingPlace& place) {
  auto* header = reinterpret_cast<RingHeader*>(region.base() + place.offset);
  return std::atomic_ref(header->cookie).load(std::memory_order_acquire);
}

}  // namespace

std::string printable(const char* text, size_t size) {
  std::string result(text, strnlen(text, size));
  for (char& c : result) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return result;
}

std::string own_name() { return std::string("weir ") + WEIR_VERSION; }

Message make_message(MessageType type) {
  Message message;
  std::memset(static_cast<void*>(&message), 0, sizeof message);
  message.type = type;
  return message;
}

Message make_disconnect(const std::string& reason) {
  Message message = make_message(MessageType::disconnect);
  message.disconnect.code = 1;
  set_text(message.disconnect.text, reason);
  return message;
}

Message Handshake::hello() const {
  Message message = make_message(MessageType::hello);
  set_text(message.hello.name, own_name());
  message.hello.min_version = kVersion;
  message.hello.max_version = kVersion;
  message.hello.max_region = kMaxRegions - 1;
  message.hello.max_m2s_ring = static_cast<uint16_t>(config_.queues - 1);
  message.hello.max_s2m_ring = static_cast<uint16_t>(config_.queues - 1);
  message.hello.max_log2_ring = config_.log2_ring;
  return message;
}

Result<Message> Handshake::receive(const Message& message, std::vector<api::Fd>& fds) {
  const bool carries_fd =
      message.type == MessageType::add_region || message.type == MessageType::add_ring;
  if (fds.size() > (carries_fd ? 1U : 0U)) return refuse("unexpected file descriptor");
  switch (message.type) {
    case MessageType::init:
      if (step_ == Step::init) return init(message.init);
      break;
    case MessageType::add_region:
      if (step_ == Step::setup) return add_region(message.add_region, fds);
      break;
    case MessageType::add_ring:
      if (step_ == Step::setup) return add_ring(message.add_ring, fds);
      break;
    case MessageType::connect:
      if (step_ == Step::setup) return connect(message.connect);
      break;
    default: break;
  }
  return refuse("unexpected message of type " +
                std::to_string(static_cast<unsigned>(message.type)));
}

Result<Message> Handshake::init(const Init& init) {
  if (init.version != kVersion) return refuse("protocol version is not 2.0");
  if (init.id != 0) return refuse("interface id not found: use id 0");
  if (init.mode != config_.mode) {
    return refuse(config_.mode == Mode::ip ? "this port is in IP mode"
                                           : "this port is in Ethernet mode");
  }
  if (!config_.secret.empty() && !secret_matches(config_.secret, init.secret))
    return refuse("wrong secret");
  session_.peer = printable(init.name.data(), init.name.size());
  step_ = Step::setup;
  return make_message(MessageType::ack);
}

Result<Message> Handshake::add_region(const AddRegion& region, std::vector<api::Fd>& fds) {
  if (fds.empty()) return refuse("region without its file descriptor");
  if (session_.regions.size() == kMaxRegions) return refuse("more than 16 regions");
  if (region.index != session_.regions.size()) return refuse("region index out of order");
  if (region.size > kMaxBytes - bytes_) return refuse("regions of more than 1 GiB in all");
  Result<Region> mapped = Region::map(fds[0].get(), region.size, config_.unsealed);
  if (!mapped) return mapped.error();
  fds.clear();  // a memfd: closing it waits for nobody
  bytes_ += region.size;
  session_.regions.push_back(std::move(*mapped));
  return make_message(MessageType::ack);
}

Status Handshake::check_place(const AddRing& ring) const {
  if (ring.region >= session_.regions.size()) return refuse("ring in an unknown region");
  if (ring.log2_size < kMinLog2Ring || ring.log2_size > kMaxLog2Ring)
    return refuse("ring size is not 2^5 to 2^14");
  if (ring.offset % alignof(RingHeader) != 0) return refuse("ring offset is not a multiple of 64");
  if (ring.offset + ring_bytes(ring.log2_size) > session_.regions[ring.region].size()) {
    return refuse("ring lies outside its region");
  }
  return {};
}

Result<Message> Handshake::add_ring(const AddRing& ring, std::vector<api::Fd>& fds) {
  if (fds.empty()) return refuse("ring without its file descriptor");
  if ((ring.flags & ~kRingToServer) != 0) return refuse("unknown ring flags");
  if (ring.private_header_size != 0) return refuse("private headers are not supported");
  const bool receive = (ring.flags & kRingToServer) != 0;
  std::vector<RingPlace>& places = receive ? session_.receive : session_.send;
  if (ring.index >= config_.queues) return refuse("more rings than queues");
  if (ring.index != places.size()) return refuse("ring index out of order");
  Status placed = check_place(ring);
  if (!placed) return placed.error();
  if (!is_eventfd(fds[0].get())) return refuse("ring's file descriptor is not an eventfd");
  places.push_back({ring.region, ring.offset, ring.log2_size});
  (receive ? session_.receive_eventfds : session_.send_eventfds).push_back(std::move(fds[0]));
  fds.clear();
  return make_message(MessageType::ack);
}

Result<Message> Handshake::connect(const Connect& connect) {
  if (session_.receive.empty() || session_.send.empty())
    return refuse("a ring for each direction is needed");
  for (const auto* places : {&session_.receive, &session_.send}) {
    for (const RingPlace& place : *places) {
      if (cookie_of(session_.regions[place.region], place) != kCookie)
        return refuse("ring without its cookie");
    }
  }
  session_.interface = printable(connect.interface.data(), connect.interface.size());
  step_ = Step::complete;
  Message reply = make_message(MessageType::connected);
  set_text(reply.connect.interface, config_.interface);
  return reply;
}

}  // namespace weir::dataplane::memif
