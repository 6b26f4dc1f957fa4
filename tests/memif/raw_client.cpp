#include "tests/memif/raw_client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace weir::dataplane::memif::test {

namespace {

Error failure(std::string text) { return {ErrorCode::io, std::move(text)}; }

}  // namespace

api::Fd make_memfd(uint64_t size, bool seal) {
  api::Fd fd(memfd_create("raw-client", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd || ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return {};
  if (seal && fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) return {};
  return fd;
}

Message blank_message(MessageType type) {
  Message message;
  std::memset(static_cast<void*>(&message), 0, sizeof message);
  message.type = type;
  return message;
}

bool send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  iovec part{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  std::vector<std::byte> control(CMSG_SPACE(fds.size_bytes()));
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* one = CMSG_FIRSTHDR(&header);
    one->cmsg_level = SOL_SOCKET;
    one->cmsg_type = SCM_RIGHTS;
    one->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(one), fds.data(), fds.size_bytes());
  }
  return sendmsg(socket, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

Message init_message(const ClientOptions& options) {
  Message message = blank_message(MessageType::init);
  message.init.version = kVersion;
  message.init.mode = options.mode;
  std::memcpy(message.init.secret.data(), options.secret.data(),
              std::min<size_t>(options.secret.size(), 24));
  std::memcpy(message.init.name.data(), options.name.data(),
              std::min<size_t>(options.name.size(), 32));
  return message;
}

Message region_message(uint16_t index, uint64_t size) {
  Message message = blank_message(MessageType::add_region);
  message.add_region = {index, size};
  return message;
}

RawClient::~RawClient() { close(); }

void RawClient::close() {
  socket_.reset();
  if (memory_ != nullptr) munmap(memory_, memory_size_);
  memory_ = nullptr;
  memory_fd_.reset();
  send_.clear();
  receive_.clear();
}

Status RawClient::connect(const std::string& path) {
  if (Status status = open(path); !status) return status;
  if (Status status = init(); !status) return status;
  if (Status status = make_memory(); !status) return status;
  if (Status status = add_region(memory_fd_.get(), 0, memory_size_); !status) return status;
  for (const bool to_server : {true, false}) {
    for (uint8_t queue = 0; queue < options_.queues; ++queue) {
      Status status =
          add_ring(to_server ? kRingToServer : uint16_t{0}, queue, eventfd(to_server, queue));
      if (!status) return status;
    }
  }
  if (Status status = say_connect(); !status) return status;
  for (uint8_t queue = 0; queue < options_.queues; ++queue) refill(queue);
  return {};
}

Status RawClient::open(const std::string& path) {
  socket_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno_error("connect", errno);
  }
  const auto hello = receive();
  if (!hello) return failure("no hello");
  if (hello->type == MessageType::disconnect) return failure(hello->disconnect.text.data());
  if (hello->type != MessageType::hello) return failure("first message is not a hello");
  return {};
}

Status RawClient::make_memory() {
  const uint64_t rings = 2ULL * options_.queues * ring_bytes(options_.log2_ring);
  memory_size_ = rings + 2ULL * options_.queues * ring_size() * options_.buffer;
  memory_fd_ = make_memfd(memory_size_, options_.seal);
  void* memory =
      mmap(nullptr, memory_size_, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd_.get(), 0);
  if (memory == MAP_FAILED) return errno_error("mmap", errno);
  memory_ = static_cast<std::byte*>(memory);
  for (const bool to_server : {true, false}) {
    queues(to_server).resize(options_.queues);
    for (uint8_t queue = 0; queue < options_.queues; ++queue) {
      RingHeader& header = ring(to_server, queue);
      header.cookie = kCookie;
      header.flags = kRingMaskInterrupt;
      queues(to_server)[queue].event.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
      for (uint16_t slot = 0; slot < ring_size(); ++slot) {
        set_descriptor(to_server, slot,
                       {0, 0, options_.buffer, buffer_offset(to_server, queue, slot), 0}, queue);
      }
    }
  }
  return {};
}

Status RawClient::init() { return exchange(init_message(options_), MessageType::ack); }

Status RawClient::add_region(int fd, uint16_t index, uint64_t size) {
  return exchange(region_message(index, size), MessageType::ack, std::array{fd});
}

Status RawClient::add_ring(uint16_t flags, uint16_t index, int fd) {
  Message message = blank_message(MessageType::add_ring);
  message.add_ring = {flags,
                      index,
                      0,
                      ring_offset(flags == kRingToServer, static_cast<uint8_t>(index)),
                      options_.log2_ring,
                      0};
  return exchange(message, MessageType::ack, std::array{fd});
}

Status RawClient::say_connect() {
  Message message = blank_message(MessageType::connect);
  std::strcpy(message.connect.interface.data(), "raw0");
  return exchange(message, MessageType::connected);
}

bool RawClient::send(const Message& message, std::span<const int> fds) {
  return send_raw(std::as_bytes(std::span(&message, 1)), fds);
}

bool RawClient::send_raw(std::span<const std::byte> bytes, std::span<const int> fds) {
  return send_packet(socket_.get(), bytes, fds);
}

std::optional<Message> RawClient::receive() {
  const auto deadline = std::chrono::steady_clock::now() + options_.timeout;
  Message message = blank_message(MessageType::none);
  while (std::chrono::steady_clock::now() < deadline) {
    if (options_.pump) options_.pump();
    pollfd state{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (poll(&state, 1, options_.pump ? 1 : 100) != 1) continue;
    const ssize_t got = recv(socket_.get(), &message, sizeof message, MSG_DONTWAIT);
    if (got == sizeof message) return message;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    return std::nullopt;
  }
  return std::nullopt;
}

Status RawClient::exchange(const Message& message, MessageType answer, std::span<const int> fds) {
  if (!send(message, fds)) return errno_error("send", errno);
  const auto reply = receive();
  if (!reply) return failure("no answer");
  if (reply->type == MessageType::disconnect) return failure(reply->disconnect.text.data());
  if (reply->type != answer) return failure("unexpected answer");
  return {};
}

std::string RawClient::wait_disconnect() {
  std::string reason;
  while (const auto message = receive()) {
    if (message->type == MessageType::disconnect) reason = message->disconnect.text.data();
  }
  return reason;
}

uint32_t RawClient::ring_offset(bool to_server, uint8_t queue) const noexcept {
  const uint32_t index = queue + (to_server ? 0U : options_.queues);
  return static_cast<uint32_t>(index * ring_bytes(options_.log2_ring));
}

uint32_t RawClient::buffer_offset(bool to_server, uint8_t queue, uint16_t slot) const noexcept {
  const auto rings = static_cast<uint32_t>(2U * options_.queues * ring_bytes(options_.log2_ring));
  const uint32_t index = queue + (to_server ? 0U : options_.queues);
  return rings + (index * ring_size() + slot) * options_.buffer;
}

RingHeader& RawClient::ring(bool to_server, uint8_t queue) {
  return *reinterpret_cast<RingHeader*>(memory_ + ring_offset(to_server, queue));
}

Descriptor RawClient::descriptor(bool to_server, uint16_t slot, uint8_t queue) {
  const std::byte* slots = memory_ + ring_offset(to_server, queue) + sizeof(RingHeader);
  Descriptor result{};
  std::memcpy(&result, slots + (slot & (ring_size() - 1U)) * sizeof result, sizeof result);
  return result;
}

void RawClient::set_descriptor(bool to_server, uint16_t slot, const Descriptor& descriptor,
                               uint8_t queue) {
  std::byte* slots = memory_ + ring_offset(to_server, queue) + sizeof(RingHeader);
  std::memcpy(slots + (slot & (ring_size() - 1U)) * sizeof descriptor, &descriptor,
              sizeof descriptor);
}

void RawClient::set_head(bool to_server, uint16_t head, uint8_t queue) {
  queues(to_server)[queue].head = head;
  std::atomic_ref(ring(to_server, queue).head).store(head, std::memory_order_release);
}

uint16_t RawClient::tail(bool to_server, uint8_t queue) {
  return std::atomic_ref(ring(to_server, queue).tail).load(std::memory_order_acquire);
}

int RawClient::eventfd(bool to_server, uint8_t queue) const {
  return (to_server ? send_ : receive_)[queue].event.get();
}

bool RawClient::send_frame(std::span<const std::byte> frame, uint8_t queue) {
  Queue& q = send_[queue];
  const auto used = static_cast<uint16_t>(q.head - tail(true, queue));
  const auto needed = static_cast<uint16_t>((frame.size() + options_.buffer - 1) / options_.buffer);
  if (used + needed > ring_size()) return false;
  for (uint16_t i = 0; i < needed; ++i) {
    const auto slot = static_cast<uint16_t>((q.head + i) & (ring_size() - 1));
    const auto part =
        frame.subspan(size_t{i} * options_.buffer)
            .first(std::min<size_t>(options_.buffer, frame.size() - size_t{i} * options_.buffer));
    const uint32_t offset = buffer_offset(true, queue, slot);
    std::memcpy(memory_ + offset, part.data(), part.size());
    const uint16_t flags = i + 1 < needed ? kDescriptorNext : uint16_t{0};
    set_descriptor(true, slot, {flags, 0, static_cast<uint32_t>(part.size()), offset, 0}, queue);
  }
  set_head(true, static_cast<uint16_t>(q.head + needed), queue);
  return true;
}

void RawClient::notify(uint8_t queue) {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // head first, then the server's mask
  const uint16_t flags = std::atomic_ref(ring(true, queue).flags).load(std::memory_order_relaxed);
  if ((flags & kRingMaskInterrupt) == 0) eventfd_write(eventfd(true, queue), 1);
}

std::optional<Bytes> RawClient::receive_frame(uint8_t queue) {
  Queue& q = receive_[queue];
  if (q.tail == tail(false, queue)) return std::nullopt;
  Bytes frame;
  while (true) {
    const Descriptor piece = descriptor(false, q.tail, queue);
    frame.insert(frame.end(), memory_ + piece.offset, memory_ + piece.offset + piece.length);
    ++q.tail;
    if ((piece.flags & kDescriptorNext) == 0) return frame;
  }
}

void RawClient::refill(uint8_t queue) {
  Queue& q = receive_[queue];
  const auto until = static_cast<uint16_t>(q.tail + ring_size());
  for (uint16_t slot = q.head; slot != until; ++slot) {
    const auto index = static_cast<uint16_t>(slot & (ring_size() - 1));
    set_descriptor(false, index, {0, 0, options_.buffer, buffer_offset(false, queue, index), 0},
                   queue);
  }
  set_head(false, until, queue);
}

bool RawClient::all_returned(uint8_t queue) const {
  auto* self = const_cast<RawClient*>(this);
  return self->tail(true, queue) == send_[queue].head;
}

}  // namespace weir::dataplane::memif::test
