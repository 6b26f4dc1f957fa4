#include "dataplane/ports/memif/client_handshake.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

namespace weir::dataplane::memif {

namespace {

using Request = ClientHandshake::Request;

Error refuse(std::string reason) { return {ErrorCode::invalid_argument, std::move(reason)}; }

Message init_message(const HandshakeConfig& config) {
  Message message = make_message(MessageType::init);
  message.init.version = kVersion;
  message.init.mode = config.mode;
  // All 24 bytes count: the secret's end is no zero.
  std::copy_n(config.secret.data(), std::min(config.secret.size(), message.init.secret.size()),
              message.init.secret.data());
  set_text(message.init.name, own_name());
  return message;
}

uint8_t rings(uint8_t wanted, uint16_t highest) {
  return static_cast<uint8_t>(std::min<uint32_t>(wanted, highest + 1U));
}

}  // namespace

MemoryPlan largest_plan(const HandshakeConfig& config) noexcept {
  return {.receive_rings = config.queues,
          .send_rings = config.queues,
          .log2_ring = config.log2_ring,
          .buffer = config.buffer,
          .huge = config.unsealed};
}

Result<std::optional<Request>> ClientHandshake::receive(const Message& message) {
  const bool ack = message.type == MessageType::ack;
  if (step_ == Step::hello && message.type == MessageType::hello) return hello(message.hello);
  if (step_ == Step::init && ack) return lend();
  if (step_ == Step::setup && ack) return next_ring();
  if (step_ == Step::connect && message.type == MessageType::connected)
    return connected(message.connect);
  return refuse("unexpected message of type " +
                std::to_string(static_cast<unsigned>(message.type)));
}

Result<std::optional<Request>> ClientHandshake::hello(const Hello& hello) {
  if (hello.min_version > kVersion || hello.max_version < kVersion)
    return refuse("server does not speak protocol version 2.0");
  if (hello.max_log2_ring < kMinLog2Ring) return refuse("server's rings are smaller than 2^5");
  plan_ = largest_plan(config_);
  plan_.log2_ring = std::min(plan_.log2_ring, hello.max_log2_ring);
  plan_.receive_rings = rings(config_.queues, hello.max_m2s_ring);
  plan_.send_rings = rings(config_.queues, hello.max_s2m_ring);
  session_.peer = printable(hello.name.data(), hello.name.size());
  step_ = Step::init;
  return std::optional(Request{init_message(config_)});
}

Result<std::optional<Request>> ClientHandshake::lend() {
  Result<OwnMemory> memory = make_memory(plan_);
  if (!memory) return memory.error();
  Message message = make_message(MessageType::add_region);
  message.add_region.size = memory->region.size();
  memory_ = std::move(memory->fd);
  session_.regions.push_back(std::move(memory->region));
  session_.receive = std::move(memory->receive);
  session_.send = std::move(memory->send);
  session_.buffer = plan_.buffer;
  step_ = Step::setup;
  return std::optional(Request{message, memory_.get()});
}

// One ring for each ACK, those to the server first; then CONNECT.
Result<std::optional<Request>> ClientHandshake::next_ring() {
  const bool sends = session_.send_eventfds.size() < session_.send.size();
  const auto& places = sends ? session_.send : session_.receive;
  auto& events = sends ? session_.send_eventfds : session_.receive_eventfds;
  if (events.size() == places.size()) {
    Message message = make_message(MessageType::connect);
    set_text(message.connect.interface, config_.interface);
    step_ = Step::connect;
    return std::optional(Request{message});
  }
  const RingPlace& place = places[events.size()];
  Message message = make_message(MessageType::add_ring);
  message.add_ring.flags = sends ? kRingToServer : uint16_t{0};
  message.add_ring.index = static_cast<uint16_t>(events.size());
  message.add_ring.offset = place.offset;
  message.add_ring.log2_size = place.log2_size;
  api::Fd event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!event) return errno_error("cannot make an eventfd for a ring", errno);
  events.push_back(std::move(event));
  return std::optional(Request{message, events.back().get()});
}

Result<std::optional<Request>> ClientHandshake::connected(const Connect& connected) {
  session_.interface = printable(connected.interface.data(), connected.interface.size());
  memory_.reset();
  step_ = Step::complete;
  return std::optional<Request>();
}

}  // namespace weir::dataplane::memif
