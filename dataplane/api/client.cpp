#include "dataplane/api/client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

namespace weir::api {

namespace {

Status set_deadline(int socket, std::chrono::milliseconds timeout) {
  timeval value{};
  value.tv_sec = timeout.count() / 1000;
  value.tv_usec = timeout.count() % 1000 * 1000;
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (setsockopt(socket, SOL_SOCKET, option, &value, sizeof value) != 0) {
      return errno_error("cannot set a time-out on the dataplane API socket", errno);
    }
  }
  return {};
}

Result<Fd> connect_socket(const std::string& path, std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return {ErrorCode::invalid_argument, "socket path " + path + " is longer than 107 bytes"};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error("cannot make a socket", errno);
  // Before connect(): it waits, too, where a hung peer's queue is full.
  if (const Status status = set_deadline(socket.get(), timeout); !status) return status.error();
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return socket;
  if (errno == EACCES || errno == EPERM) {
    return {ErrorCode::permission, "no permission to use " + path + ": run this as root"};
  }
  return {ErrorCode::unavailable, "weir-dataplane does not answer on " + path +
                                      ": is it running, and with the same WEIR_RUN_DIR?"};
}

}  // namespace

Result<Client> Client::connect(const std::string& path, std::string_view program,
                               std::chrono::milliseconds timeout) {
  Result<Fd> socket = connect_socket(path, timeout);
  if (!socket) return socket.error();
  Client client(*std::move(socket), timeout);
  Message hello(MessageType::hello);
  Hello self{.pid = static_cast<uint32_t>(getpid())};
  set_text(self.name, program);
  set_text(self.build, WEIR_VERSION);
  hello.add(self);
  Result<Hello> peer = client.one<Hello>(std::move(hello));
  if (!peer) return peer.error();
  client.peer_ = *peer;
  return client;
}

Result<std::vector<Message>> Client::call(Message request, std::span<const int> fds) {
  request.header.sequence = ++sequence_;
  const Error late{ErrorCode::timeout, "weir-dataplane did not answer within " +
                                           std::to_string(timeout_.count()) +
                                           " ms: look at its log, restart it if it hangs"};
  if (const Status sent = send_message(socket_.get(), request, fds); !sent) {
    return sent.error().code == ErrorCode::busy ? late : sent.error();
  }
  std::vector<Message> replies;
  while (true) {
    Result<Message> reply = receive_message(socket_.get());
    if (!reply) return reply.error().code == ErrorCode::busy ? late : reply.error();
    const Header& header = reply->header;
    if (header.sequence != sequence_ && replies.empty()) continue;  // of a call that timed out
    if (header.type != request.header.type || (header.flags & kFlagReply) == 0) {
      return {ErrorCode::invalid_argument, "weir-dataplane sent a reply that fits no request"};
    }
    if (const Status status = reply->status(); !status) return status.error();
    replies.push_back(*std::move(reply));
    if ((replies.back().header.flags & kFlagMore) == 0) return replies;
  }
}

template <Record Reply>
Result<std::vector<Reply>> Client::list(Message request, std::span<const int> fds) {
  Result<std::vector<Message>> replies = call(std::move(request), fds);
  if (!replies) return replies.error();
  std::vector<Reply> all;
  for (const Message& reply : *replies) {
    const std::vector<Reply> part = reply.records<Reply>();
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

template <Record Reply>
Result<Reply> Client::one(Message request, std::span<const int> fds) {
  Result<std::vector<Reply>> replies = list<Reply>(std::move(request), fds);
  if (!replies) return replies.error();
  if (replies->size() == 1) return replies->front();
  return {ErrorCode::invalid_argument, "weir-dataplane sent a reply that fits no request"};
}

Result<DataplaneStatus> Client::status() { return one<DataplaneStatus>(Message(MessageType::status)); }

Result<Replay> Client::replay_begin(uint64_t generation) {
  Message request(MessageType::replay_begin);
  request.add(Replay{.generation = generation});
  return one<Replay>(std::move(request));
}

Result<Replay> Client::replay_end(uint64_t generation) {
  Message request(MessageType::replay_end);
  request.add(Replay{.generation = generation});
  return one<Replay>(std::move(request));
}

Result<PortState> Client::port_set(const PortConfig& config, int tap) {
  Message request(MessageType::port_set);
  request.add(config);
  if (tap < 0) return one<PortState>(std::move(request));
  return one<PortState>(std::move(request), std::span<const int>(&tap, 1));
}

Status Client::port_delete(uint64_t key) {
  Message request(MessageType::port_delete);
  request.add(PortKey{key});
  const auto replies = call(std::move(request));
  return replies ? Status{} : Status{replies.error()};
}

Result<PortState> Client::uplink_set(const UplinkConfig& config) {
  Message request(MessageType::uplink_set);
  request.add(config);
  return one<PortState>(std::move(request));
}

Result<std::vector<NeighborState>> Client::neighbor_list() {
  return list<NeighborState>(Message(MessageType::neighbor_list));
}

Status Client::port_limit(const PortLimits& limits) {
  Message request(MessageType::port_limit);
  request.add(limits);
  const auto replies = call(std::move(request));
  return replies ? Status{} : Status{replies.error()};
}

Result<std::vector<PortState>> Client::port_list() {
  return list<PortState>(Message(MessageType::port_list));
}

template <Record Item>
Status Client::send_records(MessageType type, std::span<const Item> records) {
  while (!records.empty()) {
    Message request(type);
    size_t taken = 0;
    while (taken < records.size() && request.fits<Item>()) request.add(records[taken++]);
    const auto replies = call(std::move(request));
    if (!replies) return replies.error();
    records = records.subspan(taken);
  }
  return {};
}

Status Client::route_set(std::span<const Route> changed) {
  return send_records(MessageType::route_set, changed);
}

Status Client::route_delete(std::span<const Route> removed) {
  return send_records(MessageType::route_delete, removed);
}

Result<std::vector<Route>> Client::route_list() { return list<Route>(Message(MessageType::route_list)); }

Result<Route> Client::route_lookup(const IpAddress& address) {
  Message request(MessageType::route_lookup);
  request.add(RouteLookup{.address = address});
  return one<Route>(std::move(request));
}

Result<std::vector<WorkerState>> Client::worker_list() {
  return list<WorkerState>(Message(MessageType::worker_list));
}

Result<std::vector<DropCounter>> Client::drop_list(uint64_t port_key) {
  Message request(MessageType::drop_list);
  request.add(PortKey{port_key});
  return list<DropCounter>(std::move(request));
}

Status Client::trace_start(const TraceFilter& filter) {
  Message request(MessageType::trace_start);
  request.add(filter);
  const auto replies = call(std::move(request));
  return replies ? Status{} : Status{replies.error()};
}

Result<std::vector<TraceRecord>> Client::trace_read() {
  return list<TraceRecord>(Message(MessageType::trace_read));
}

Result<PathTrace> Client::trace_route(const PathQuery& query) {
  Message request(MessageType::trace_route);
  request.add(query);
  return one<PathTrace>(std::move(request));
}

Status Client::group_set(std::span<const Backend> backends) {
  return send_records(MessageType::group_set, backends);
}

Status Client::group_delete(std::span<const ListKey> groups) {
  return send_records(MessageType::group_delete, groups);
}

Status Client::prefix_set(std::span<const PrefixMember> members) {
  return send_records(MessageType::prefix_set, members);
}

Status Client::prefix_delete(std::span<const ListKey> sets) {
  return send_records(MessageType::prefix_delete, sets);
}

Status Client::frontend_set(std::span<const Frontend> frontends) {
  return send_records(MessageType::frontend_set, frontends);
}

Status Client::frontend_delete(std::span<const FrontendKey> frontends) {
  return send_records(MessageType::frontend_delete, frontends);
}

Result<std::vector<FrontendState>> Client::frontend_list() {
  return list<FrontendState>(Message(MessageType::frontend_list));
}

Result<std::vector<BackendState>> Client::group_list(uint64_t group) {
  Message request(MessageType::group_list);
  request.add(ListKey{group});
  return list<BackendState>(std::move(request));
}

Status Client::service_settings(const ServiceSettings& settings) {
  return send_records(MessageType::service_settings, std::span<const ServiceSettings>(&settings, 1));
}

Result<std::vector<ConnectionState>> Client::connection_list(const ConnectionQuery& query) {
  Message request(MessageType::connection_list);
  request.add(query);
  return list<ConnectionState>(std::move(request));
}

Result<ConnectionStats> Client::connection_stats() {
  return one<ConnectionStats>(Message(MessageType::connection_stats));
}

}  // namespace weir::api
