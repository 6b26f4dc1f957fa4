#include "dataplane/ports/memif/port.h"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/ports/memif/connector.h"
#include "dataplane/ports/memif/listener.h"

namespace weir::dataplane::memif {

namespace {

Result<HandshakeConfig> handshake_config(const api::PortConfig& config) {
  HandshakeConfig handshake;
  handshake.secret = api::get_text(config.secret);
  handshake.queues = config.memif_queues == 0 ? uint8_t{1} : config.memif_queues;
  handshake.log2_ring = config.memif_log2_ring == 0 ? uint8_t{10} : config.memif_log2_ring;
  handshake.unsealed = (config.flags & api::kPortUnsealed) != 0;
  handshake.mode = config.memif_mode == api::MemifMode::ip ? Mode::ip : Mode::ethernet;
  if (config.ifname[0] != '\0') handshake.interface = api::get_text(config.ifname);
  if (config.memif_buffer != 0) handshake.buffer = config.memif_buffer;
  if (handshake.queues > kMaxQueues) {
    return {ErrorCode::invalid_argument,
            "a memif port has 1 to 16 queues: set memif_queues accordingly"};
  }
  if (handshake.log2_ring < kMinLog2Ring || handshake.log2_ring > kMaxLog2Ring) {
    return {ErrorCode::invalid_argument,
            "memif rings have 2^5 to 2^14 entries: set memif_log2_ring accordingly"};
  }
  const uint64_t bytes = largest_plan(handshake).bytes();
  if (config.memif_role == api::MemifRole::client && bytes > kMaxBytes) {
    return {ErrorCode::limit, "the memif's rings need " + std::to_string(bytes >> 20) +
                                  " MiB, 1024 MiB is the most: lower memif_queues, "
                                  "memif_log2_ring or memif_buffer"};
  }
  return handshake;
}

}  // namespace

Result<std::unique_ptr<MemifService>> MemifService::create(EventLoop& loop, Rcu& rcu) {
  std::unique_ptr<MemifService> service(new MemifService(loop, rcu));
  service->broken_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!service->broken_) return errno_error("cannot make an eventfd for memif ports", errno);
  MemifService* self = service.get();
  Status watched = loop.add(self->broken_.get(), EPOLLIN, [self](uint32_t) { self->on_broken(); });
  if (!watched) return watched.error();
  auto interrupts = Interrupts::create();
  if (!interrupts) return interrupts.error();
  service->interrupts_ = std::move(*interrupts);
  return service;
}

MemifService::~MemifService() { loop_.remove(broken_.get()); }

Result<std::unique_ptr<MemifPort>> MemifService::make_port(const api::PortConfig& config,
                                                           std::function<void()> wake) {
  std::unique_ptr<MemifPort> port(new MemifPort(*this, std::move(wake)));
  Status started = port->start(config);
  if (!started) return started.error();
  return port;
}

void MemifService::on_broken() {
  eventfd_t count = 0;
  eventfd_read(broken_.get(), &count);
  for (MemifPort* port : ports_) port->housekeep();
}

MemifPort::MemifPort(MemifService& service, std::function<void()> wake)
    : service_(service), wake_(std::move(wake)) {
  const int broken = service_.broken_.get();
  interrupts_id_ = service_.interrupts_->add(bell_, wake_, [broken] { eventfd_write(broken, 1); });
  service_.ports_.push_back(this);
}

void MemifPort::close() noexcept {
  control_.reset();
  retire_link("port removed");
}

MemifPort::~MemifPort() {
  close();
  service_.interrupts_->remove(interrupts_id_);
  std::erase(service_.ports_, this);
}

Status MemifPort::start(const api::PortConfig& config) {
  name_ = api::get_text(config.name);
  if (config.memif_mode == api::MemifMode::ip) ip_.emplace(config.mac);
  auto control = make_control(config);
  if (!control) return control.error();
  control_ = std::move(*control);
  return control_->start();
}

Result<std::unique_ptr<Control>> MemifPort::make_control(const api::PortConfig& config) {
  Result<HandshakeConfig> handshake = handshake_config(config);
  if (!handshake) return handshake.error();
  Control::Callbacks callbacks{
      .connected = [this](Session& session) { connected(session); },
      .disconnected = [this](const std::string& reason) { disconnected(reason); }};
  if (config.memif_role == api::MemifRole::client) {
    detail_ = "looking for the server";
    return std::unique_ptr<Control>(std::make_unique<Connector>(
        service_.loop_, api::get_text(config.socket_path), std::move(*handshake), std::move(callbacks)));
  }
  detail_ = "waiting for a client";
  Result<PathSocket> socket = PathSocket::create(path_socket_config(config, SOCK_SEQPACKET));
  if (!socket) return socket.error();
  return std::unique_ptr<Control>(std::make_unique<Listener>(
      service_.loop_, std::move(*socket), std::move(*handshake), std::move(callbacks)));
}

void MemifPort::connected(Session& session) {
  auto link = std::make_unique<Link>(std::move(session.regions), session.receive, session.send,
                                     session.buffer);
  service_.interrupts_->set_peer(interrupts_id_, std::move(session.receive_eventfds),
                                 std::move(session.send_eventfds));
  link_.store(link.release(), std::memory_order_release);  // publishes the Link's contents
  link_state_ = api::LinkState::up;
  detail_.clear();
  peer_name_ = session.peer;
  memif_.peer_pid = static_cast<uint32_t>(session.credentials.pid);
  memif_.peer_uid = session.credentials.uid;
  memif_.peer_gid = session.credentials.gid;
  set_text(memif_.interface, session.interface);
  ++memif_.connections;
  if (log_gate_.open()) {
    spdlog::info("memif port {}: \"{}\" ({}) connected, pid {} uid {} gid {}", name_, session.peer,
                 session.interface, session.credentials.pid, session.credentials.uid,
                 session.credentials.gid);
  }
  wake_();  // a worker that sleeps armed what was there before
}

void MemifPort::disconnected(const std::string& reason) {
  // A peer that stays away for one reason is worth one line.
  const std::string before = api::get_text(memif_.last_end);
  const bool news =
      link_state_ == api::LinkState::up || before.empty() || !reason.starts_with(before);
  retire_link(reason);
  // A refused stranger does not wipe out what the port was quarantined for.
  if (link_state_ != api::LinkState::quarantined) {
    link_state_ = api::LinkState::down;
    detail_ = reason;
  }
  if (news && log_gate_.open()) spdlog::info("memif port {}: {}", name_, reason);
}

void MemifPort::retire_link(const std::string& reason) {
  const uint64_t connections = memif_.connections;
  memif_ = {};
  memif_.connections = connections;
  set_text(memif_.last_end, reason);
  peer_name_.clear();
  service_.interrupts_->clear_peer(interrupts_id_);
  // release: nothing to publish, but ordered after what we did with the link. A worker
  // may still use it until its grace period ends.
  const Link* link = link_.exchange(nullptr, std::memory_order_acq_rel);
  service_.rcu_.retire_delete(link);
}

void MemifPort::housekeep() {
  const Link* link = link_.load(std::memory_order_relaxed);  // own store
  if (link == nullptr || link->fault() == Fault::none) return;
  detail_ = to_string(link->fault());
  link_state_ = api::LinkState::quarantined;
  if (log_gate_.open()) spdlog::warn("memif port {} quarantined: {}", name_, detail_);
  control_->hang_up("quarantined: " + detail_, kQuarantine);
  retire_link(detail_);
}

void MemifPort::state(api::PortState& state) const {
  state.link = link_state_;
  set_text(state.detail, detail_);
  set_text(state.peer_name, peer_name_);
  state.memif = memif_;
  const Link* link = link_.load(std::memory_order_relaxed);  // own store
  if (link != nullptr) link->state(state.memif);
}

}  // namespace weir::dataplane::memif
