#include "bench/traffic/memif_client.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace weir::bench {

using memif::Message;
using memif::MessageType;

namespace {

constexpr timeval kTimeout{.tv_sec = 3, .tv_usec = 0};

Message blank(MessageType type) {
  Message message;
  std::memset(static_cast<void*>(&message), 0, sizeof message);
  message.type = type;
  return message;
}

Result<api::Fd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return {ErrorCode::invalid_argument,
            "socket path '" + path + "' is too long; use a shorter one."};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  api::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("cannot make a socket", errno);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof kTimeout);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno_error("cannot connect to " + path, errno);
  }
  return fd;
}

Status send(int socket, const Message& message, int fd) {
  iovec part{.iov_base = const_cast<Message*>(&message), .iov_len = sizeof message};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof fd)> control{};
  if (fd >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* one = CMSG_FIRSTHDR(&header);
    one->cmsg_level = SOL_SOCKET;
    one->cmsg_type = SCM_RIGHTS;
    one->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(one), &fd, sizeof fd);
  }
  if (sendmsg(socket, &header, MSG_NOSIGNAL) == sizeof message) return {};
  return errno_error("the memif server does not take messages", errno);
}

Status expect(int socket, MessageType type) {
  Message message;
  const ssize_t got = recv(socket, &message, sizeof message, 0);
  if (got < 0 && errno == EAGAIN) {
    return {ErrorCode::timeout, "the memif server does not answer; is it running?"};
  }
  if (got != sizeof message) return {ErrorCode::io, "the memif server hung up."};
  if (message.type == type) return {};
  if (message.type == MessageType::disconnect) {
    return {ErrorCode::io,
            std::string("the memif server refused: ") + message.disconnect.text.data()};
  }
  return {ErrorCode::io, "the memif server answered out of order."};
}

Status exchange(int socket, const Message& message, MessageType answer, int fd = -1) {
  if (Status status = send(socket, message, fd); !status) return status;
  return expect(socket, answer);
}

}  // namespace

MemifClient::MemifClient(MemifClient&& other) noexcept
    : options_(std::move(other.options_)),
      socket_(std::move(other.socket_)),
      memory_fd_(std::move(other.memory_fd_)),
      events_(std::move(other.events_)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(other.size_) {}

MemifClient::~MemifClient() {
  if (memory_ != nullptr) munmap(memory_, size_);
}

Result<MemifClient> MemifClient::detached(const ClientOptions& options) {
  MemifClient client(options);
  if (Status status = client.make_memory(); !status) return status.error();
  return client;
}

Result<MemifClient> MemifClient::connect(const std::string& path, const ClientOptions& options) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(kTimeout.tv_sec);
  while (true) {
    auto client = detached(options);
    if (!client) return client;
    const Status status = client->handshake(path);
    if (status) return client;
    // A server may still be busy with the end of the client before.
    if (std::chrono::steady_clock::now() > deadline) return status.error();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

uint32_t MemifClient::ring_offset(unsigned ring) const {
  return static_cast<uint32_t>(ring * memif::ring_bytes(options_.log2_ring));
}

uint32_t MemifClient::buffer_offset(unsigned ring, uint32_t slot) const {
  return ring_offset(rings()) + ((ring << options_.log2_ring) + slot) * options_.buffer;
}

std::vector<RxRing> MemifClient::rx() const {
  std::vector<RxRing> receive;
  for (unsigned ring = 1; ring < rings(); ++ring) receive.emplace_back(view(ring));
  return receive;
}

RingView MemifClient::view(unsigned ring) const {
  std::byte* start = memory_ + ring_offset(ring);
  return {.header = reinterpret_cast<memif::RingHeader*>(start),
          .slots = reinterpret_cast<memif::Descriptor*>(start + sizeof(memif::RingHeader)),
          .memory = memory_,
          .buffer = options_.buffer,
          .mask = static_cast<uint16_t>((1U << options_.log2_ring) - 1),
          .event = events_[ring].get()};
}

Status MemifClient::make_memory() {
  size_ = buffer_offset(rings(), 0);
  events_.resize(rings());
  memory_fd_.reset(memfd_create("weir-bench", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory_fd_ || ftruncate(memory_fd_.get(), static_cast<off_t>(size_)) != 0 ||
      fcntl(memory_fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    return errno_error("cannot make shared memory", errno);
  }
  // Populated at once: page faults belong to no trial.
  void* memory =
      mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory_fd_.get(), 0);
  if (memory == MAP_FAILED) return errno_error("cannot map shared memory", errno);
  memory_ = static_cast<std::byte*>(memory);
  for (unsigned ring = 0; ring < rings(); ++ring) {
    events_[ring].reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    const RingView rings = view(ring);
    rings.header->cookie = memif::kCookie;
    for (uint16_t slot = 0; slot < rings.size(); ++slot) {
      rings.slots[slot] = {0, 0, options_.buffer, buffer_offset(ring, slot), 0};
    }
  }
  return {};
}

Status MemifClient::handshake(const std::string& path) {
  auto opened = connect_to(path);
  if (!opened) return opened.error();
  socket_ = *std::move(opened);
  const int socket = socket_.get();
  if (Status status = expect(socket, MessageType::hello); !status) return status;

  Message init = blank(MessageType::init);
  init.init.version = memif::kVersion;
  options_.name.copy(init.init.name.data(), init.init.name.size());
  if (Status status = exchange(socket, init, MessageType::ack); !status) return status;

  Message region = blank(MessageType::add_region);
  region.add_region = {0, size_};
  if (Status status = exchange(socket, region, MessageType::ack, memory_fd_.get()); !status)
    return status;

  for (unsigned ring = 0; ring < rings(); ++ring) {
    Message add = blank(MessageType::add_ring);
    const auto flags = ring == 0 ? memif::kRingToServer : uint16_t{0};
    const auto index = static_cast<uint16_t>(ring == 0 ? 0 : ring - 1);
    add.add_ring = {flags, index, 0, ring_offset(ring), options_.log2_ring, 0};
    if (Status status = exchange(socket, add, MessageType::ack, events_[ring].get()); !status)
      return status;
  }
  return exchange(socket, blank(MessageType::connect), MessageType::connected);
}

}  // namespace weir::bench
