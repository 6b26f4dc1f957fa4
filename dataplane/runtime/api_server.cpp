#include "dataplane/runtime/api_server.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dataplane/runtime/api_handlers.h"

namespace weir::dataplane {

namespace {

constexpr size_t kMaxConnections = 64;
constexpr int kRequestsPerEvent = 16;  // so that one busy peer does not hold the loop

// The lock, not the socket's presence, says who serves: a killed process leaves the
// socket but never the lock.
Result<api::Fd> take_lock(const std::string& path) {
  const std::string lock_path = path + ".lock";
  api::Fd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) {
    Error error = errno_error("cannot create " + lock_path, errno);
    error.text += "; make the directory and run this as root, or set WEIR_RUN_DIR";
    return error;
  }
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 16> pid{};
    [[maybe_unused]] const ssize_t bytes = pread(lock.get(), pid.data(), pid.size() - 1, 0);
    return {ErrorCode::busy, "another weir-dataplane (pid " + std::string(pid.data()) + ") serves " + path +
                                 "; stop it or set another WEIR_RUN_DIR"};
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(lock.get(), 0) != 0 || pwrite(lock.get(), pid.data(), pid.size(), 0) < 0) {
    return errno_error("cannot write " + lock_path, errno);
  }
  return lock;
}

// Called with the lock held, so a socket that is there is stale. Anything else is not ours.
Status remove_stale_socket(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) {
    return {ErrorCode::exists, path + " is not a socket; move it away or set another WEIR_RUN_DIR"};
  }
  if (unlink(path.c_str()) != 0) return errno_error("cannot replace the stale socket " + path, errno);
  return {};
}

Result<api::Fd> bind_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return {ErrorCode::config, "socket path " + path + " is longer than 107 bytes; set a shorter WEIR_RUN_DIR"};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  api::Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error("cannot make a socket", errno);
  if (const Status removed = remove_stale_socket(path); !removed) return removed.error();
  const mode_t mask = umask(0177);
  const bool bound = bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  umask(mask);
  if (!bound || ::listen(socket.get(), 16) != 0) return errno_error("cannot listen on " + path, errno);
  return socket;
}

bool allowed(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

}  // namespace

Result<std::unique_ptr<ApiServer>> ApiServer::listen(const std::string& path, Dataplane& dataplane,
                                                     EventLoop& loop) {
  Result<api::Fd> lock = take_lock(path);
  if (!lock) return lock.error();
  Result<api::Fd> socket = bind_socket(path);
  if (!socket) return socket.error();
  std::unique_ptr<ApiServer> server(
      new ApiServer(path, *std::move(lock), *std::move(socket), dataplane, loop));
  const Status added =
      loop.add(server->socket_.get(), EPOLLIN, [raw = server.get()](uint32_t) { raw->accept(); });
  if (!added) return added.error();
  return server;
}

ApiServer::ApiServer(std::string path, api::Fd lock, api::Fd socket, Dataplane& dataplane, EventLoop& loop)
    : path_(std::move(path)),
      lock_(std::move(lock)),
      socket_(std::move(socket)),
      dataplane_(dataplane),
      loop_(loop) {}

ApiServer::~ApiServer() {
  while (!connections_.empty()) close(connections_.begin()->first);
  loop_.remove(socket_.get());
  unlink(path_.c_str());  // the lock file stays: removing it would let two processes hold one each
}

void ApiServer::accept() {
  api::Fd socket(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket || !allowed(socket.get()) || connections_.size() >= kMaxConnections) return;
  const int fd = socket.get();
  if (!loop_.add(fd, EPOLLIN, [this, fd](uint32_t events) { on_event(fd, events); })) return;
  connections_[fd].socket = std::move(socket);
}

void ApiServer::on_event(int fd, uint32_t events) {
  Connection& connection = connections_.at(fd);
  if ((events & EPOLLOUT) != 0) write_to(connection);
  // No new request is read while replies wait: a peer that does not read gets no more.
  if (connections_.contains(fd) && (events & ~EPOLLOUT) != 0 && connection.unsent.empty()) read_from(connection);
}

void ApiServer::read_from(Connection& connection) {
  const int fd = connection.socket.get();
  for (int i = 0; i < kRequestsPerEvent && connections_.contains(fd); ++i) {
    if (!connection.unsent.empty()) return;
    Result<api::Message> request = api::receive_message(fd);
    if (!request && request.error().code == ErrorCode::busy) return;
    if (request) {
      handle(connection, *std::move(request));
      continue;
    }
    if (request.error().code == ErrorCode::version) {
      api::Message reply(api::MessageType::hello);
      reply.header.flags = api::kFlagReply;
      reply.set_error(request.error());
      [[maybe_unused]] const Status sent = api::send_message(fd, reply);  // it is closed anyway
    }
    close(fd);
  }
}

void ApiServer::handle(Connection& connection, api::Message request) {
  const bool hello = request.header.type == api::MessageType::hello;
  std::vector<api::Message> replies;
  if (!hello && !connection.greeted) {
    replies.emplace_back(request.header.type).set_error({ErrorCode::invalid_argument, "say hello first"});
  } else {
    connection.greeted = true;
    replies = answer(dataplane_, request);
  }
  for (size_t i = 0; i < replies.size(); ++i) {
    replies[i].header.type = request.header.type;
    replies[i].header.sequence = request.header.sequence;
    replies[i].header.flags = api::kFlagReply;
    if (i + 1 < replies.size()) replies[i].header.flags |= api::kFlagMore;
    connection.unsent.push_back(std::move(replies[i]));
  }
  write_to(connection);
}

void ApiServer::write_to(Connection& connection) {
  const int fd = connection.socket.get();
  while (!connection.unsent.empty()) {
    const Status sent = api::send_message(fd, connection.unsent.front());
    if (!sent && sent.error().code == ErrorCode::busy) break;
    if (!sent) return close(fd);
    connection.unsent.pop_front();
  }
  const uint32_t events = connection.unsent.empty() ? EPOLLIN : EPOLLOUT;
  if (!loop_.modify(fd, events)) close(fd);
}

void ApiServer::close(int fd) {
  loop_.remove(fd);
  connections_.erase(fd);
}

}  // namespace weir::dataplane
