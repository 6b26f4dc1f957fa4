// Serves requests on weir-control's socket: frames of cni/frame.h, one answer each.
//
// A peer is never trusted to finish: every wait for it has a deadline, every length a
// bound, and what it does or leaves undone touches its own connection only. A request
// that was read is carried out even when the peer is gone.
// Thread safety: the loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "control/loop/asio.h"
#include "dataplane/api/codec.h"

namespace weir::control {

struct FrameServerOptions {
  std::chrono::milliseconds idle = std::chrono::seconds(10);  // between frames
  std::chrono::milliseconds frame =
      std::chrono::seconds(5);  // from a frame's first byte to its last
  std::chrono::milliseconds write = std::chrono::seconds(5);
  size_t connections = 1024;
};

class FrameServer {
 public:
  // Turns a request's body into the response's. Must not throw.
  using Handler = std::function<Task<std::string>(std::string body)>;

  FrameServer(asio::io_context& loop, api::Fd listener, Handler handler,
              FrameServerOptions options = {});

  void start();
  // Accepts nothing more and closes connections without a request in hand.
  void stop();
  // Requests in hand. Zero after stop(): nothing of the server runs any more.
  size_t busy() const noexcept { return busy_; }
  size_t connections() const noexcept { return connections_.size(); }

 private:
  struct Connection;
  using Shared = std::shared_ptr<Connection>;

  Task<> accept_loop();
  Task<> serve(Shared connection);
  Task<bool> serve_one(Shared connection);
  Task<bool> read_exactly(Shared connection, void* to, size_t size);
  Task<bool> read_body(Shared connection, std::string& body, size_t size);
  Task<bool> write_response(Shared connection, const std::string& body);

  asio::io_context& loop_;
  asio::local::stream_protocol::acceptor acceptor_;
  const Handler handler_;
  const FrameServerOptions options_;
  std::set<Shared> connections_;
  size_t busy_ = 0;
  bool stopped_ = false;
};

}  // namespace weir::control
