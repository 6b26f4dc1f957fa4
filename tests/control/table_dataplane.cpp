#include "tests/control/table_dataplane.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>

namespace weir::control {

using api::Message;
using api::MessageType;

namespace {
constexpr int kPollMs = 20;
}

TableDataplane::TableDataplane(std::string socket_path) : path_(std::move(socket_path)) { start(); }

TableDataplane::~TableDataplane() { kill(); }

void TableDataplane::start() {
  unlink(path_.c_str());
  listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_.get(), 4) != 0) {
    std::abort();
  }
  ++instance_;
  stopping_ = false;
  thread_ = std::thread([this] { serve(); });
}

void TableDataplane::kill() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  listener_.reset();
  const std::scoped_lock lock(mutex_);
  ports_.clear();
  routes_.clear();
  services_ = {};
  marks_ = {};
  generation_ = 0;
}

void TableDataplane::set_refuse(Refuse refuse) {
  const std::scoped_lock lock(mutex_);
  refuse_ = std::move(refuse);
}

void TableDataplane::set_hang(bool hang) {
  const std::scoped_lock lock(mutex_);
  hang_ = hang;
}

void TableDataplane::drop_connection() {
  const std::scoped_lock lock(mutex_);
  drop_ = true;
}

std::map<uint64_t, api::PortConfig> TableDataplane::ports() const {
  const std::scoped_lock lock(mutex_);
  std::map<uint64_t, api::PortConfig> out;
  for (const auto& [key, port] : ports_) out.emplace(key, port.config);
  return out;
}

std::map<std::string, api::Route> TableDataplane::routes() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, api::Route> out;
  for (const auto& [prefix, marked] : routes_) out.emplace(prefix, marked.route);
  return out;
}

TableDataplane::Services TableDataplane::services() const {
  const std::scoped_lock lock(mutex_);
  return services_;
}

std::optional<std::vector<std::string>> TableDataplane::backends(
    const std::string& frontend) const {
  const std::scoped_lock lock(mutex_);
  const auto found = services_.frontends.find(frontend);
  if (found == services_.frontends.end()) return std::nullopt;
  return services_.groups.at(found->second.group_inside);
}

bool TableDataplane::has_tap(uint64_t key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = ports_.find(key);
  return found != ports_.end() && found->second.tap;
}

uint64_t TableDataplane::taps_taken(uint64_t key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = ports_.find(key);
  return found == ports_.end() ? 0 : found->second.taps;
}

bool TableDataplane::wait(const std::function<bool()>& ready) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!ready()) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_until(lock, std::min(end, std::chrono::steady_clock::now() +
                                                    std::chrono::milliseconds(kPollMs))) ==
            std::cv_status::timeout &&
        std::chrono::steady_clock::now() >= end) {
      return false;
    }
  }
  return true;
}

void TableDataplane::serve() {
  while (!stopping_) {
    pollfd waiting{listener_.get(), POLLIN, 0};
    if (poll(&waiting, 1, kPollMs) != 1) continue;
    const api::Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    while (!stopping_ && serve_one(connection.get())) {
    }
  }
}

bool TableDataplane::serve_one(int connection) {
  pollfd waiting{connection, POLLIN, 0};
  const bool readable = poll(&waiting, 1, kPollMs) == 1;
  {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(drop_, false)) return false;
    if (hang_ || !readable) return true;
  }
  Result<Message> request = api::receive_message(connection);
  if (!request) return false;
  std::vector<api::Fd> fds = std::move(request->fds);
  Message reply = answer(*request, std::move(fds));
  reply.header.type = request->header.type;
  reply.header.sequence = request->header.sequence;
  reply.header.flags = api::kFlagReply;
  return static_cast<bool>(api::send_message(connection, reply));
}

Message TableDataplane::answer(const Message& request, std::vector<api::Fd> fds) {
  Message reply;
  const std::scoped_lock lock(mutex_);
  const auto refused = refuse_ ? refuse_(request.header.type) : std::nullopt;
  if (refused) {
    reply.set_error(*refused);
    return reply;
  }
  switch (request.header.type) {
    case MessageType::hello: reply.add(api::Hello{.pid = 4711, .instance = instance_}); break;
    case MessageType::status:
      reply.add(api::DataplaneStatus{.instance = instance_, .generation = generation_});
      break;
    case MessageType::replay_begin:
    case MessageType::replay_end: answer_replay(request, reply); break;
    case MessageType::port_set: answer_port_set(request, fds, reply); break;
    case MessageType::port_delete: ports_.erase(request.records<api::PortKey>().at(0).key); break;
    case MessageType::port_list:
      for (const auto& [key, port] : ports_) reply.add(api::PortState{.config = port.config});
      break;
    case MessageType::route_set:
    case MessageType::route_delete: answer_routes(request); break;
    case MessageType::frontend_set:
    case MessageType::frontend_delete: answer_frontends(request, reply); break;
    case MessageType::connection_stats: reply.add(api::ConnectionStats{.capacity = 64}); break;
    case MessageType::service_settings:
      services_.settings = request.records<api::ServiceSettings>().at(0);
      break;
    case MessageType::group_set:
    case MessageType::group_delete:
    case MessageType::prefix_set:
    case MessageType::prefix_delete: answer_lists(request); break;
    default: break;  // lists that are empty here
  }
  changed_.notify_all();
  return reply;
}

void TableDataplane::answer_replay(const Message& request, Message& reply) {
  api::Replay replay = request.records<api::Replay>().at(0);
  generation_ = replay.generation;
  if (request.header.type == MessageType::replay_end) {
    replay.ports_swept = static_cast<uint32_t>(
        std::erase_if(ports_, [&](const auto& item) { return item.second.mark != generation_; }));
    replay.routes_swept = static_cast<uint32_t>(
        std::erase_if(routes_, [&](const auto& item) { return item.second.mark != generation_; }));
    sweep_services(replay);
    ++replays_;
  }
  reply.add(replay);
}

void TableDataplane::answer_port_set(const Message& request, std::vector<api::Fd>& fds,
                                     Message& reply) {
  const api::PortConfig config = request.records<api::PortConfig>().at(0);
  const bool needs_tap = config.kind == api::PortKind::kernel || config.kind == api::PortKind::host;
  if (needs_tap && fds.empty() && !ports_.contains(config.key)) {
    reply.set_error({ErrorCode::not_found, "the port is not known and came without its tap"});
    return;
  }
  Port& port = ports_[config.key];
  port.config = config;
  port.mark = generation_;
  if (!fds.empty()) {
    port.tap = std::move(fds.front());
    ++port.taps;
  }
  reply.add(api::PortState{.config = config, .link = api::LinkState::up});
}

namespace {

std::string frontend_text(const api::FrontendKey& key) {
  return to_string(key.address) + ":" + std::to_string(key.port) + "/" +
         std::to_string(key.protocol);
}

std::string member_text(const api::Backend& backend) {
  return to_string(backend.address) + ":" + std::to_string(backend.port);
}
std::string member_text(const api::PrefixMember& member) { return to_string(member.prefix); }
uint64_t list_of(const api::Backend& backend) { return backend.group; }
uint64_t list_of(const api::PrefixMember& member) { return member.set; }

// Lists travel whole in these tests: none is longer than a message.
template <class Item>
void set_lists(const Message& request, std::map<uint64_t, std::vector<std::string>>& lists,
               std::map<uint64_t, uint64_t>& marks, uint64_t generation) {
  for (const Item& item : request.records<Item>()) {
    std::vector<std::string>& list = lists[list_of(item)];
    if ((item.flags & api::kListFirst) != 0) list.clear();
    if ((item.flags & api::kListEmpty) == 0) list.push_back(member_text(item));
    marks[list_of(item)] = generation;
  }
}

// What carries another mark goes; returns how many.
template <class Map, class Marks>
uint32_t sweep(Map& map, Marks& marks, uint64_t generation) {
  const auto old = [&](const auto& item) { return marks[item.first] != generation; };
  return static_cast<uint32_t>(std::erase_if(map, old));
}

}  // namespace

void TableDataplane::answer_lists(const Message& request) {
  ++services_.messages;
  const bool groups = request.header.type == MessageType::group_set ||
                      request.header.type == MessageType::group_delete;
  if (request.header.type == MessageType::group_set) {
    set_lists<api::Backend>(request, services_.groups, marks_.groups, generation_);
  } else if (request.header.type == MessageType::prefix_set) {
    set_lists<api::PrefixMember>(request, services_.sets, marks_.sets, generation_);
  } else {
    for (const api::ListKey& key : request.records<api::ListKey>()) {
      (groups ? services_.groups : services_.sets).erase(key.key);
    }
  }
}

void TableDataplane::answer_frontends(const Message& request, Message& reply) {
  ++services_.messages;
  if (request.header.type == MessageType::frontend_delete) {
    for (const api::FrontendKey& key : request.records<api::FrontendKey>()) {
      services_.frontends.erase(frontend_text(key));
    }
    return;
  }
  for (const api::Frontend& frontend : request.records<api::Frontend>()) {
    const bool complete =
        services_.groups.contains(frontend.group_inside) &&
        services_.groups.contains(frontend.group_outside) &&
        (frontend.source_ranges == 0 || services_.sets.contains(frontend.source_ranges));
    if (!complete) {
      reply.set_error({ErrorCode::not_found, "a group or a set of the frontend is not there"});
      return;
    }
    services_.frontends[frontend_text(frontend.key)] = frontend;
    marks_.frontends[frontend_text(frontend.key)] = generation_;
  }
}

void TableDataplane::sweep_services(api::Replay& replay) {
  replay.frontends_swept = sweep(services_.frontends, marks_.frontends, generation_);
  replay.lists_swept = sweep(services_.groups, marks_.groups, generation_) +
                       sweep(services_.sets, marks_.sets, generation_);
}

void TableDataplane::answer_routes(const Message& request) {
  for (const api::Route& route : request.records<api::Route>()) {
    const std::string prefix = to_string(route.prefix);
    if (request.header.type == MessageType::route_delete) {
      routes_.erase(prefix);
    } else {
      routes_[prefix] = {route, generation_};
    }
  }
}

}  // namespace weir::control
