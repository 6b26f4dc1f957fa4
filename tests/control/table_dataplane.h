// A dataplane that forwards nothing: the API's server side with tables in memory, for
// tests of what weir-control makes of it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "dataplane/api/codec.h"

namespace weir::control {

class TableDataplane {
 public:
  explicit TableDataplane(std::string socket_path);
  ~TableDataplane();
  TableDataplane(const TableDataplane&) = delete;
  TableDataplane& operator=(const TableDataplane&) = delete;

  // Starts listening; ports and routes as of `restart` begin empty, with a new instance.
  void start();
  // As kill -9 does it: connections and taps closed, everything forgotten.
  void kill();

  // Asked before each request; an error is the answer then. Called on the server's thread.
  using Refuse = std::function<std::optional<Error>(api::MessageType)>;
  void set_refuse(Refuse refuse);
  // True: requests are read but not answered.
  void set_hang(bool hang);
  // Closes the connection but keeps its tables, as after a control API error.
  void drop_connection();

  std::map<uint64_t, api::PortConfig> ports() const;
  std::map<std::string, api::Route> routes() const;  // by prefix
  bool has_tap(uint64_t key) const;

  // Services: frontends by "address:port/protocol number", members of lists as text.
  struct Services {
    std::map<std::string, api::Frontend> frontends;
    std::map<uint64_t, std::vector<std::string>> groups;
    std::map<uint64_t, std::vector<std::string>> sets;
    api::ServiceSettings settings;
    size_t messages = 0;  // that set or deleted any of them, so far
  };
  Services services() const;
  // "address:port" of the frontend's backends for clients inside; nothing when it is not there.
  std::optional<std::vector<std::string>> backends(const std::string& frontend) const;
  uint64_t taps_taken(uint64_t key) const;       // taps that came with the port so far
  uint64_t replays() const { return replays_; }  // completed

  // Waits until `ready` holds, checked after each request; false after ten seconds.
  bool wait(const std::function<bool()>& ready) const;

 private:
  struct Port {
    api::PortConfig config;
    api::Fd tap;
    uint64_t mark = 0;
    uint64_t taps = 0;
  };
  struct ServiceMarks {
    std::map<std::string, uint64_t> frontends;
    std::map<uint64_t, uint64_t> groups;
    std::map<uint64_t, uint64_t> sets;
  };
  struct MarkedRoute {
    api::Route route;
    uint64_t mark = 0;
  };

  void serve();
  bool serve_one(int connection);
  api::Message answer(const api::Message& request, std::vector<api::Fd> fds);
  void answer_replay(const api::Message& request, api::Message& reply);
  void answer_port_set(const api::Message& request, std::vector<api::Fd>& fds, api::Message& reply);
  void answer_routes(const api::Message& request);
  void answer_lists(const api::Message& request);
  void answer_frontends(const api::Message& request, api::Message& reply);
  void sweep_services(api::Replay& replay);

  const std::string path_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<uint64_t, Port> ports_;
  std::map<std::string, MarkedRoute> routes_;
  Services services_;
  ServiceMarks marks_;
  uint64_t generation_ = 0;
  uint64_t instance_ = 0;
  std::atomic<uint64_t> replays_ = 0;
  Refuse refuse_;
  bool hang_ = false;
  bool drop_ = false;
  std::atomic<bool> stopping_ = false;
  api::Fd listener_;
  std::thread thread_;
};

}  // namespace weir::control
