// Serves the dataplane API on dataplane.sock.
//
// Thread safety: main thread only. A peer that does not read, floods or sends garbage
// loses its connection; others do not notice.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "dataplane/api/codec.h"
#include "dataplane/runtime/dataplane.h"
#include "dataplane/runtime/event_loop.h"

namespace weir::dataplane {

class ApiServer {
 public:
  // Listens on `path` (mode 0600). ErrorCode::busy when another process serves it.
  static Result<std::unique_ptr<ApiServer>> listen(const std::string& path, Dataplane& dataplane,
                                                   EventLoop& loop);
  ~ApiServer();  // removes the socket
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

 private:
  struct Connection {
    api::Fd socket;
    bool greeted = false;
    std::deque<api::Message> unsent;
  };

  ApiServer(std::string path, api::Fd lock, api::Fd socket, Dataplane& dataplane, EventLoop& loop);

  void accept();
  void on_event(int fd, uint32_t events);
  void read_from(Connection& connection);
  void handle(Connection& connection, api::Message request);
  void write_to(Connection& connection);
  void close(int fd);

  std::string path_;
  api::Fd lock_;
  api::Fd socket_;
  Dataplane& dataplane_;
  EventLoop& loop_;
  std::map<int, Connection> connections_;
};

}  // namespace weir::dataplane
