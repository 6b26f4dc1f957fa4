#include "dataplane/ports/memif/channel.h"

#include <cerrno>
#include <cstring>

#include "dataplane/ports/memif/handshake.h"

namespace weir::dataplane::memif {

namespace {

constexpr int kMessagesAtOnce = 8;

}  // namespace

bool send_message(int socket, const Message& message, int fd) {
  iovec part{.iov_base = const_cast<Message*>(&message), .iov_len = sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* one = CMSG_FIRSTHDR(&header);
    one->cmsg_level = SOL_SOCKET;
    one->cmsg_type = SCM_RIGHTS;
    one->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(one), &fd, sizeof fd);
  }
  return sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof message;
}

Channel::Channel(EventLoop& loop, DisposalLane& lane, Owner& owner, api::Fd socket,
                 std::string peer)
    : loop_(loop), lane_(lane), owner_(owner), socket_(std::move(socket)), peer_(std::move(peer)) {}

Channel::~Channel() {
  loop_.cancel(deadline_);
  loop_.remove(socket_.get());
  lane_.close_socket(std::move(socket_));
}

Status Channel::start() {
  Status watched = loop_.add(socket_.get(), EPOLLIN, [this](uint32_t) { on_readable(); });
  if (watched) expect_message(true);
  return watched;
}

bool Channel::send(const Message& message, int fd) {
  return send_message(socket_.get(), message, fd);
}

void Channel::expect_message(bool wait) {
  loop_.cancel(deadline_);
  if (!wait) return;
  deadline_ = loop_.timer(kMessageDeadline, [owner = &owner_] {
    owner->on_failure("no message within one second", true);
  });
}

void Channel::on_readable() {
  for (int i = 0; i < kMessagesAtOnce; ++i) {
    if (!read_message()) return;
  }
}

// False when there is no more to read now, or for ever: then *this may be gone.
bool Channel::read_message() {
  Message message = make_message(MessageType::none);
  bool truncated = false;
  std::vector<api::Fd> fds;
  DisposalLane& lane = lane_;
  const ssize_t got = receive_message(socket_.get(), &message, sizeof message, fds, truncated);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  bool more = false;
  if (got <= 0) {
    owner_.on_failure(peer_ + " is gone", false);
  } else if (got != sizeof message || truncated) {
    owner_.on_failure("message is not 128 bytes long", true);
  } else if (message.type == MessageType::disconnect) {
    const auto& text = message.disconnect.text;
    owner_.on_failure(peer_ + " disconnected: " + printable(text.data(), text.size()), false);
  } else {
    more = owner_.on_message(message, fds);
  }
  lane.close(std::move(fds));
  return more;
}

}  // namespace weir::dataplane::memif
