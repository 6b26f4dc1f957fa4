#include "dataplane/ports/vhost/channel.h"

#include <cerrno>

namespace weir::dataplane::vhost {

Channel::Channel(EventLoop& loop, memif::DisposalLane& lane, Owner& owner, api::Fd socket)
    : loop_(loop), lane_(lane), owner_(owner), socket_(std::move(socket)) {}

Channel::~Channel() {
  loop_.cancel(deadline_);
  loop_.cancel(resume_);
  loop_.remove(socket_.get());
  lane_.close(std::move(files_));
  lane_.close_socket(std::move(socket_));
}

Status Channel::start() {
  return loop_.add(socket_.get(), EPOLLIN, [this](uint32_t events) { on_event(events); });
}

bool Channel::send(const Message& message) {
  iovec parts[2] = {
      {.iov_base = const_cast<MessageHeader*>(&message.header), .iov_len = sizeof message.header},
      {.iov_base = const_cast<std::byte*>(message.bytes.data()), .iov_len = message.header.size}};
  msghdr header{};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  const auto whole = static_cast<ssize_t>(sizeof message.header + message.header.size);
  return sendmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) == whole;
}

void Channel::hold(bool held) {
  held_ = held;
  watch();
}

void Channel::watch() {
  const uint32_t events = held_ || resume_ != 0 ? 0U : uint32_t{EPOLLIN};
  [[maybe_unused]] const Status changed = loop_.modify(socket_.get(), events);
}

void Channel::on_event(uint32_t events) {
  // The end of a peer that is not read from would be reported again and again.
  if ((held_ || resume_ != 0) && (events & (EPOLLHUP | EPOLLERR)) != 0)
    return owner_.on_failure("front-end is gone");
  while (read_more()) continue;
}

// False when there is no more to read now, or for ever: then *this may be gone.
bool Channel::read_more() {
  if (over_rate()) return false;
  const bool in_header = have_ < sizeof message_.header;
  std::byte* const start = in_header ? reinterpret_cast<std::byte*>(&message_.header) + have_
                                     : message_.bytes.data() + (have_ - sizeof message_.header);
  const size_t end = sizeof message_.header + (in_header ? 0 : message_.header.size);
  bool truncated = false;
  const ssize_t got = memif::receive_message(socket_.get(), start, end - have_, files_, truncated);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) return owner_.on_failure("front-end is gone"), false;
  if (files_.size() > kMaxRegions)
    return owner_.on_failure("message with more than 8 file descriptors"), false;
  if (have_ == 0) {
    deadline_ = loop_.timer(kMessageDeadline, [owner = &owner_] {
      owner->on_failure("message does not come to its end within one second");
    });
  }
  have_ += static_cast<size_t>(got);
  if (have_ < end) return true;
  if (in_header) {
    const std::string fault = fault_of_header();
    if (!fault.empty()) return owner_.on_failure(fault), false;
    if (message_.header.size > 0) return true;
  }
  return take_message();
}

std::string Channel::fault_of_header() const {
  if ((message_.header.flags & kVersionMask) != kVersion)
    return "message is not of vhost-user version 1";
  if (message_.header.size > sizeof message_.bytes) return "message is longer than any that is known";
  return {};
}

bool Channel::take_message() {
  loop_.cancel(deadline_);
  const Message message = message_;
  std::vector<api::Fd> files = std::move(files_);
  message_ = {};
  files_.clear();
  have_ = 0;
  ++in_window_;
  memif::DisposalLane& lane = lane_;  // *this may be gone after the call
  const bool more = owner_.on_message(message, files);
  lane.close(std::move(files));
  return more;
}

// True when the peer has to wait for its next window.
bool Channel::over_rate() {
  const auto now = EventLoop::Clock::now();
  if (now - window_ >= kMessageWindow) {
    window_ = now;
    in_window_ = 0;
  }
  if (in_window_ < kMessagesPerWindow) return false;
  resume_ = loop_.timer(kMessageWindow, [this] {
    resume_ = 0;
    watch();
  });
  watch();
  return true;
}

}  // namespace weir::dataplane::vhost
