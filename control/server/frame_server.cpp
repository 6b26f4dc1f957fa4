#include "control/server/frame_server.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>

#include "cni/fault/fault.h"
#include "cni/frame.h"

namespace weir::control {

namespace {

using Protocol = asio::local::stream_protocol;
using boost::system::error_code;

constexpr size_t kBodyStep = size_t{256} << 10;         // memory is given out as bytes arrive
constexpr std::chrono::milliseconds kAcceptPause(100);  // when descriptors have run out

bool may_ask(Protocol::socket& socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

}  // namespace

struct FrameServer::Connection {
  explicit Connection(Protocol::socket s) : socket(std::move(s)), timer(socket.get_executor()) {}

  // Closes the connection unless the deadline is moved or removed before.
  void set_deadline(std::chrono::milliseconds after, const Shared& self) {
    timer.expires_after(after);
    timer.async_wait([weak = std::weak_ptr(self)](error_code cancelled) {
      const Shared connection = weak.lock();
      if (!cancelled && connection) connection->close();
    });
  }
  void close() {
    error_code ignored;
    socket.close(ignored);
  }

  Protocol::socket socket;
  asio::steady_timer timer;
  bool in_hand = false;  // a request is being carried out
};

FrameServer::FrameServer(asio::io_context& loop, api::Fd listener, Handler handler,
                         FrameServerOptions options)
    : loop_(loop),
      acceptor_(loop, Protocol(), listener.release()),
      handler_(std::move(handler)),
      options_(options) {}

void FrameServer::start() { asio::co_spawn(loop_, accept_loop(), asio::detached); }

void FrameServer::stop() {
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  for (const Shared& connection : connections_) {
    if (!connection->in_hand) connection->close();
  }
}

Task<> FrameServer::accept_loop() {
  asio::steady_timer pause(loop_);
  while (!stopped_) {
    error_code failed;
    Protocol::socket socket =
        co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, failed));
    if (stopped_) break;
    if (failed) {
      spdlog::warn("cannot accept a connection: {}", failed.message());
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failed));
      continue;
    }
    if (connections_.size() >= options_.connections || !may_ask(socket)) continue;  // closes it
    auto connection = std::make_shared<Connection>(std::move(socket));
    connections_.insert(connection);
    asio::co_spawn(loop_, serve(connection), asio::detached);
  }
}

Task<> FrameServer::serve(Shared connection) {
  // Not in the loop's condition: g++ 12 miscompiles a co_await behind &&.
  bool more = true;
  while (more && !stopped_) more = co_await serve_one(connection);
  connection->timer.cancel();
  connection->close();
  connections_.erase(connection);
}

Task<bool> FrameServer::serve_one(Shared connection) {
  cni::FrameHeader header;
  connection->set_deadline(options_.idle, connection);
  if (!co_await read_exactly(connection, header.data(), 1)) co_return false;
  connection->set_deadline(options_.frame, connection);
  if (!co_await read_exactly(connection, header.data() + 1, header.size() - 1)) co_return false;
  const weir::Result<uint32_t> length = cni::decode_frame_header(header, cni::FrameKind::request);
  if (!length) co_return false;
  std::string body;
  if (!co_await read_body(connection, body, *length)) co_return false;
  connection->timer.cancel();
  connection->in_hand = true;
  ++busy_;
  WEIR_FAULT_POINT("server.request_read");
  const std::string response = co_await handler_(std::move(body));
  WEIR_FAULT_POINT("server.answer_known");
  const bool written = co_await write_response(connection, response);
  WEIR_FAULT_POINT("server.answered");
  --busy_;
  connection->in_hand = false;
  co_return written;
}

Task<bool> FrameServer::read_exactly(Shared connection, void* to, size_t size) {
  error_code failed;
  co_await asio::async_read(connection->socket, asio::buffer(to, size),
                            asio::redirect_error(asio::use_awaitable, failed));
  co_return !failed;
}

Task<bool> FrameServer::read_body(Shared connection, std::string& body, size_t size) {
  while (body.size() < size) {
    const size_t done = body.size();
    body.resize(done + std::min(kBodyStep, size - done));
    if (!co_await read_exactly(connection, body.data() + done, body.size() - done)) co_return false;
  }
  co_return true;
}

Task<bool> FrameServer::write_response(Shared connection, const std::string& body) {
  if (body.size() > cni::kMaxFrameBody) co_return false;
  const cni::FrameHeader header =
      cni::encode_frame_header(cni::FrameKind::response, static_cast<uint32_t>(body.size()));
  const std::array<asio::const_buffer, 2> parts{asio::buffer(header), asio::buffer(body)};
  connection->set_deadline(options_.write, connection);
  error_code failed;
  co_await asio::async_write(connection->socket, parts,
                             asio::redirect_error(asio::use_awaitable, failed));
  co_return !failed;
}

}  // namespace weir::control
