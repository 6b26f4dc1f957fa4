#include "dataplane/ports/memif/disposal.h"

#include <signal.h>
#include <sys/socket.h>

#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace weir::dataplane::memif {

namespace {

constexpr size_t kMaxPassedFds = 253;  // SCM_MAX_FD: the kernel passes no more at once
// A socket's buffer cannot hold more messages than this.
constexpr int kMaxQueuedMessages = 1024;

void drain(int socket) {
  for (int i = 0; i < kMaxQueuedMessages; ++i) {
    char byte = 0;
    bool truncated = false;
    std::vector<api::Fd> fds;
    const ssize_t got = receive_message(socket, &byte, 1, fds, truncated);
    if (got < 0 || (got == 0 && fds.empty())) return;
  }
}

}  // namespace

struct DisposalLane::State {
  struct Item {
    api::Fd fd;
    bool socket;
  };
  mutable std::mutex mutex;
  std::deque<Item> queue;  // guarded by mutex
  size_t pending = 0;      // guarded by mutex
  bool running = false;    // guarded by mutex
};

DisposalLane::DisposalLane() : state_(std::make_shared<State>()) {}

void DisposalLane::close(std::vector<api::Fd> fds) {
  if (fds.empty()) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->pending += fds.size();
    for (api::Fd& fd : fds) state_->queue.push_back({std::move(fd), false});
  }
  start();
}

void DisposalLane::close_socket(api::Fd socket) {
  if (!socket) return;
  shutdown(socket.get(), SHUT_RDWR);
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->pending;
    state_->queue.push_back({std::move(socket), true});
  }
  start();
}

size_t DisposalLane::pending() const {
  const std::lock_guard lock(state_->mutex);
  return state_->pending;
}

void DisposalLane::start() {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->running) return;
    state_->running = true;
  }
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
  try {
    std::thread(&DisposalLane::run, state_).detach();
  } catch (const std::system_error&) {
    run(state_);  // no thread to be had: better late than leaked
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void DisposalLane::run(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  while (!state->queue.empty()) {
    State::Item item = std::move(state->queue.front());
    state->queue.pop_front();
    lock.unlock();
    if (item.socket) drain(item.fd.get());
    item.fd.reset();
    lock.lock();
    --state->pending;
  }
  state->running = false;
}

ssize_t receive_message(int socket, void* buffer, size_t size, std::vector<api::Fd>& fds,
                        bool& truncated) {
  alignas(
      cmsghdr) char control[CMSG_SPACE(kMaxPassedFds * sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
  iovec part{.iov_base = buffer, .iov_len = size};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const ssize_t got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return got;
  truncated = (header.msg_flags & MSG_TRUNC) != 0;
  for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(one) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return got;
}

}  // namespace weir::dataplane::memif
