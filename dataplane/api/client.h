// Blocking client of the dataplane API, every call under a deadline.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/api/path.h"

namespace weir::api {

class Client {
 public:
  // Connects and says hello. Error unavailable when nobody listens on `path`.
  static Result<Client> connect(const std::string& path, std::string_view program,
                                std::chrono::milliseconds timeout = std::chrono::seconds(5));

  const Hello& peer() const noexcept { return peer_; }
  int socket() const noexcept { return socket_.get(); }  // readable or hung up: the peer is gone

  Result<DataplaneStatus> status();
  Result<Replay> replay_begin(uint64_t generation);
  Result<Replay> replay_end(uint64_t generation);
  // `tap` is duplicated by the kernel and stays the caller's; -1 for kinds without one.
  Result<PortState> port_set(const PortConfig& config, int tap = -1);
  Status port_delete(uint64_t key);
  Status port_limit(const PortLimits& limits);
  Result<PortState> uplink_set(const UplinkConfig& config);
  Result<std::vector<NeighborState>> neighbor_list();
  Result<std::vector<PortState>> port_list();
  Status route_set(std::span<const Route> routes);
  Status route_delete(std::span<const Route> routes);
  Result<std::vector<Route>> route_list();
  Result<Route> route_lookup(const IpAddress& address);
  Result<std::vector<WorkerState>> worker_list();
  Result<std::vector<DropCounter>> drop_list(uint64_t port_key = 0);
  Status trace_start(const TraceFilter& filter);
  Result<std::vector<TraceRecord>> trace_read();
  Result<PathTrace> trace_route(const PathQuery& query);

  Status group_set(std::span<const Backend> backends);
  Status group_delete(std::span<const ListKey> groups);
  Status prefix_set(std::span<const PrefixMember> members);
  Status prefix_delete(std::span<const ListKey> sets);
  Status frontend_set(std::span<const Frontend> frontends);
  Status frontend_delete(std::span<const FrontendKey> frontends);
  Result<std::vector<FrontendState>> frontend_list();
  Result<std::vector<BackendState>> group_list(uint64_t group = 0);
  Status service_settings(const ServiceSettings& settings);
  Result<std::vector<ConnectionState>> connection_list(const ConnectionQuery& query);
  Result<ConnectionStats> connection_stats();

 private:
  Client(Fd socket, std::chrono::milliseconds timeout)
      : socket_(std::move(socket)), timeout_(timeout) {}

  // Sends one request, collects its replies (all but the last have kFlagMore).
  Result<std::vector<Message>> call(Message request, std::span<const int> fds = {});
  template <Record Reply>
  Result<std::vector<Reply>> list(Message request, std::span<const int> fds = {});
  template <Record Reply>
  Result<Reply> one(Message request, std::span<const int> fds = {});
  // As many messages as the records need; stops at the first that is refused.
  template <Record Item>
  Status send_records(MessageType type, std::span<const Item> records);

  Fd socket_;
  std::chrono::milliseconds timeout_;
  uint32_t sequence_ = 0;
  Hello peer_;
};

}  // namespace weir::api
