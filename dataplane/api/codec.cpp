#include "dataplane/api/codec.h"

#include <sys/socket.h>

#include <cerrno>

namespace weir::api {

namespace {

void take_fds(msghdr& header, std::vector<Fd>& fds) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

Status check(const Message& message, size_t received, int flags) {
  const Header& header = message.header;
  if (received < sizeof(Header) || header.magic != kMagic || (flags & MSG_TRUNC) != 0) {
    return {ErrorCode::invalid_argument, "the peer does not speak weir's dataplane API"};
  }
  if (header.version != kVersion) {
    return {ErrorCode::version, "the peer speaks dataplane API version " +
                                    std::to_string(header.version) + ", this program version " +
                                    std::to_string(kVersion) + ": install the same release of both"};
  }
  if ((flags & MSG_CTRUNC) != 0) {
    return {ErrorCode::limit, "descriptors were lost: raise the open-file limit of this process"};
  }
  const size_t body = received - sizeof(Header);
  const bool sized = header.record_size != 0 || header.count == 0;
  if (header.status == 0 && (!sized || size_t{header.count} * header.record_size != body)) {
    return {ErrorCode::invalid_argument, "record count and size do not fit the message"};
  }
  return {};
}

}  // namespace

void Message::set_error(const Error& error, uint32_t failed) {
  header.status = static_cast<int32_t>(error.code);
  header.failed = failed;
  header.count = 0;
  header.record_size = 0;
  body = error.text.substr(0, kMaxMessage - sizeof(Header));
}

Status Message::status() const {
  if (header.status == 0) return {};
  return {static_cast<ErrorCode>(header.status), body};
}

Status send_message(int socket, const Message& message, std::span<const int> fds) {
  std::array<iovec, 2> parts{{{const_cast<Header*>(&message.header), sizeof(Header)},
                              {const_cast<char*>(message.body.data()), message.body.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  if (!fds.empty()) {
    if (fds.size() > kMaxFds) return {ErrorCode::limit, "too many descriptors in one message"};
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return {};
  if (errno == EAGAIN) return {ErrorCode::busy, "the peer does not read its socket"};
  if (errno == EPIPE || errno == ECONNRESET) return {ErrorCode::unavailable, "the peer closed the connection"};
  return errno_error("cannot send on the dataplane API socket", errno);
}

Result<Message> receive_message(int socket) {
  Message message;
  message.body.resize(kMaxMessage - sizeof(Header));
  std::array<iovec, 2> parts{
      {{&message.header, sizeof(Header)}, {message.body.data(), message.body.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t received = 0;
  do {
    received = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0 && errno == EAGAIN) return {ErrorCode::busy, "no message yet"};
  if (received < 0 && errno != ECONNRESET) {
    return errno_error("cannot receive on the dataplane API socket", errno);
  }
  if (received <= 0) return {ErrorCode::unavailable, "the peer closed the connection"};
  take_fds(header, message.fds);
  const auto size = static_cast<size_t>(received);
  if (const Status status = check(message, size, header.msg_flags); !status) return status.error();
  message.body.resize(size - sizeof(Header));
  return message;
}

}  // namespace weir::api
