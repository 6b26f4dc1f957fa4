// A small HTTP/1.1 server for the control loop (Boost.Beast): health checks of load
// balancers, and pods that register themselves.
//
// A peer is never trusted: header, body, time and connections are bounded, and what it does
// touches its own connection only.
// Threads: the control thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/loop/asio.h"
#include "dataplane/api/error.h"
#include "dataplane/api/net.h"

namespace weir::control {

struct HttpRequest {
  std::string method;
  std::string path;  // without a query
  std::string body;
  IpAddress peer;  // IPv4 also where it came over an IPv6 socket
};

struct HttpResponse {
  unsigned status = 200;
  std::string body;  // JSON
};

class HttpServer {
 public:
  // Must not throw, nor wait for anything.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // "IP:PORT" or "[IPv6]:PORT". Errors: busy when the address cannot be had, permission.
  static Result<std::unique_ptr<HttpServer>> listen(asio::io_context& loop,
                                                    const std::string& endpoint, Handler handler);
  // On every address of the node, both families.
  static Result<std::unique_ptr<HttpServer>> listen_everywhere(asio::io_context& loop,
                                                               uint16_t port, Handler handler);
  ~HttpServer();  // connections end

 private:
  struct State;
  explicit HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static Result<std::unique_ptr<HttpServer>> open(asio::io_context& loop,
                                                  const asio::ip::tcp::endpoint& endpoint,
                                                  bool both_families, Handler handler);
  static Task<> accept_loop(std::shared_ptr<State> state);
  static Task<> serve(std::shared_ptr<State> state, asio::ip::tcp::socket socket);

  std::shared_ptr<State> state_;
};

}  // namespace weir::control
