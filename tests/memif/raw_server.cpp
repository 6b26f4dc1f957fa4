#include "tests/memif/raw_server.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "dataplane/ports/memif/disposal.h"

namespace weir::dataplane::memif::test {

RawServer::RawServer(const std::string& path, ServerOptions options)
    : path_(path), options_(std::move(options)) {
  listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  unlink(path.c_str());
  [[maybe_unused]] const int bound =
      bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  listen(listener_.get(), 4);
}

RawServer::~RawServer() {
  close();
  unlink(path_.c_str());
}

void RawServer::close() {
  socket_.reset();
  fds_.clear();
  rx_.clear();
  tx_.clear();
  memory_fd_.reset();
  if (memory_ != nullptr) munmap(memory_, memory_size_);
  memory_ = nullptr;
}

bool RawServer::wait(int fd) {
  const auto deadline = std::chrono::steady_clock::now() + options_.timeout;
  while (std::chrono::steady_clock::now() < deadline) {
    if (options_.pump) options_.pump();
    pollfd state{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&state, 1, 1) == 1) return true;
  }
  return false;
}

bool RawServer::accept() {
  close();
  if (!wait(listener_.get())) return false;
  socket_.reset(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return static_cast<bool>(socket_);
}

bool RawServer::serve() {
  if (!accept() || !send(hello())) return false;
  while (const auto message = receive()) {
    if (!handle(*message)) return false;
    if (message->type == MessageType::connect) return true;
  }
  return false;
}

Message RawServer::hello() const {
  Message message = blank_message(MessageType::hello);
  std::memcpy(message.hello.name.data(), options_.name.data(),
              std::min<size_t>(options_.name.size(), 32));
  message.hello.min_version = message.hello.max_version = kVersion;
  message.hello.max_region = 255;
  message.hello.max_m2s_ring = message.hello.max_s2m_ring =
      static_cast<uint16_t>(options_.queues - 1);
  message.hello.max_log2_ring = options_.log2_ring;
  return message;
}

bool RawServer::handle(const Message& message) {
  if (message.type == MessageType::init) {
    init_ = message.init;
  } else if (message.type == MessageType::add_region) {
    memory_fd_ = std::move(fds_.back());
    memory_size_ = message.add_region.size;
    void* memory =
        mmap(nullptr, memory_size_, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd_.get(), 0);
    if (memory == MAP_FAILED) return false;
    memory_ = static_cast<std::byte*>(memory);
  } else if (message.type == MessageType::add_ring) {
    auto& rings = (message.add_ring.flags & kRingToServer) != 0 ? rx_ : tx_;
    if (message.add_ring.index != rings.size()) return false;
    rings.push_back({message.add_ring, std::move(fds_.back())});
    if (header(rings.back()).cookie != kCookie) return false;
  } else if (message.type == MessageType::connect) {
    interface_ = message.connect.interface.data();
    Message reply = blank_message(MessageType::connected);
    std::strcpy(reply.connect.interface.data(), "raw0");
    return send(reply);
  } else {
    return false;
  }
  return send(blank_message(MessageType::ack));
}

bool RawServer::send(const Message& message, std::span<const int> fds) {
  return send_packet(socket_.get(), std::as_bytes(std::span(&message, 1)), fds);
}

std::optional<Message> RawServer::receive() {
  if (!wait(socket_.get())) return std::nullopt;
  Message message = blank_message(MessageType::none);
  bool truncated = false;
  fds_.clear();
  if (memif::receive_message(socket_.get(), &message, sizeof message, fds_, truncated) !=
      sizeof message)
    return std::nullopt;
  return message;
}

RingHeader& RawServer::header(const Ring& ring) noexcept {
  return *reinterpret_cast<RingHeader*>(memory_ + ring.place.offset);
}

Descriptor RawServer::descriptor(const Ring& ring, uint16_t slot) noexcept {
  Descriptor result{};
  const std::byte* slots = memory_ + ring.place.offset + sizeof(RingHeader);
  std::memcpy(&result, slots + (slot & (ring.size() - 1U)) * sizeof result, sizeof result);
  return result;
}

void RawServer::set_descriptor(const Ring& ring, uint16_t slot,
                               const Descriptor& descriptor) noexcept {
  std::byte* slots = memory_ + ring.place.offset + sizeof(RingHeader);
  std::memcpy(slots + (slot & (ring.size() - 1U)) * sizeof descriptor, &descriptor,
              sizeof descriptor);
}

void RawServer::set_tail(Ring& ring, uint16_t tail) noexcept {
  ring.next = tail;
  std::atomic_ref(header(ring).tail).store(tail, std::memory_order_release);
}

bool RawServer::send_frame(std::span<const std::byte> frame, uint8_t queue) {
  Ring& to = ring(false, queue);
  const uint16_t head = std::atomic_ref(header(to).head).load(std::memory_order_acquire);
  uint16_t next = to.next;
  while (!frame.empty()) {
    if (next == head) return false;
    Descriptor piece = descriptor(to, next);
    const auto part = frame.first(std::min<size_t>(frame.size(), piece.length));
    std::memcpy(memory_ + piece.offset, part.data(), part.size());
    frame = frame.subspan(part.size());
    piece.length = static_cast<uint32_t>(part.size());
    piece.flags = frame.empty() ? uint16_t{0} : kDescriptorNext;
    set_descriptor(to, next++, piece);
  }
  set_tail(to, next);
  return true;
}

std::optional<Bytes> RawServer::receive_frame(uint8_t queue) {
  Ring& from = ring(true, queue);
  if (from.next == std::atomic_ref(header(from).head).load(std::memory_order_acquire))
    return std::nullopt;
  Bytes frame;
  uint16_t next = from.next;
  while (true) {
    const Descriptor piece = descriptor(from, next++);
    frame.insert(frame.end(), memory_ + piece.offset, memory_ + piece.offset + piece.length);
    if ((piece.flags & kDescriptorNext) == 0) break;
  }
  set_tail(from, next);
  return frame;
}

}  // namespace weir::dataplane::memif::test
