#include "dataplane/ports/vhost/port.h"

#include <spdlog/spdlog.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/ports/vhost/client.h"
#include "dataplane/ports/vhost/server.h"

namespace weir::dataplane::vhost {

namespace {

Result<DeviceConfig> device_config(const api::PortConfig& config) {
  DeviceConfig device;
  if (config.vhost_queues != 0) device.pairs = config.vhost_queues;
  device.trusted = (config.flags & api::kPortUnsealed) != 0;
  if (device.pairs > kMaxPairs) {
    return {ErrorCode::invalid_argument,
            "a vhost-user port has 1 to 8 queue pairs: set vhost_queues accordingly"};
  }
  return device;
}

}  // namespace

Result<std::unique_ptr<VhostService>> VhostService::create(EventLoop& loop, Rcu& rcu) {
  std::unique_ptr<VhostService> service(new VhostService(loop, rcu));
  service->broken_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!service->broken_) return errno_error("cannot make an eventfd for vhost-user ports", errno);
  VhostService* self = service.get();
  Status watched = loop.add(self->broken_.get(), EPOLLIN, [self](uint32_t) { self->on_broken(); });
  if (!watched) return watched.error();
  auto interrupts = memif::Interrupts::create("vhost-irq");
  if (!interrupts) return interrupts.error();
  service->interrupts_ = std::move(*interrupts);
  return service;
}

VhostService::~VhostService() { loop_.remove(broken_.get()); }

Result<std::unique_ptr<VhostPort>> VhostService::make_port(const api::PortConfig& config,
                                                           std::function<void()> wake) {
  std::unique_ptr<VhostPort> port(new VhostPort(*this, std::move(wake)));
  Status started = port->start(config);
  if (!started) return started.error();
  return port;
}

void VhostService::on_broken() {
  eventfd_t count = 0;
  eventfd_read(broken_.get(), &count);
  for (VhostPort* port : ports_) port->housekeep();
}

VhostPort::VhostPort(VhostService& service, std::function<void()> wake)
    : service_(service), wake_(std::move(wake)) {
  const int broken = service_.broken_.get();
  interrupts_id_ = service_.interrupts_->add(bell_, wake_, [broken] { eventfd_write(broken, 1); });
  service_.ports_.push_back(this);
}

void VhostPort::close() noexcept {
  control_.reset();
  retire_link("port removed");
}

VhostPort::~VhostPort() {
  close();
  service_.interrupts_->remove(interrupts_id_);
  std::erase(service_.ports_, this);
}

Status VhostPort::start(const api::PortConfig& config) {
  name_ = api::get_text(config.name);
  auto control = make_control(config);
  if (!control) return control.error();
  control_ = std::move(*control);
  return control_->start();
}

Result<std::unique_ptr<Control>> VhostPort::make_control(const api::PortConfig& config) {
  Result<DeviceConfig> device = device_config(config);
  if (!device) return device.error();
  Control::Callbacks callbacks{
      .connected = [this](const ucred& peer) { connected(peer); },
      .start = [this](Device& one) { return start_rings(one); },
      .stop = [this](Device& one, std::function<void()> then) { stop_rings(one, std::move(then)); },
      .files_changed =
          [this](Device& one) {
            service_.interrupts_->set_peer(interrupts_id_, one.kicks(), one.calls());
          },
      .disconnected = [this](const std::string& reason) { disconnected(reason); }};
  if (config.vhost_role == api::VhostRole::client) {
    detail_ = "looking for the front-end";
    return std::unique_ptr<Control>(std::make_unique<Client>(
        service_.loop_, api::get_text(config.socket_path), *device, std::move(callbacks)));
  }
  detail_ = "waiting for a front-end";
  Result<memif::PathSocket> socket =
      memif::PathSocket::create(memif::path_socket_config(config, SOCK_STREAM));
  if (!socket) return socket.error();
  return std::unique_ptr<Control>(std::make_unique<Server>(
      service_.loop_, std::move(*socket), *device, std::move(callbacks)));
}

void VhostPort::connected(const ucred& peer) {
  connection_ = std::make_shared<int>();
  if (link_state_ != api::LinkState::quarantined) detail_ = "waiting for the driver";
  peer_.peer_pid = static_cast<uint32_t>(peer.pid);
  peer_.peer_uid = peer.uid;
  peer_.peer_gid = peer.gid;
  ++peer_.connections;
  if (log_gate_.open()) {
    spdlog::info("vhost-user port {}: front-end connected, pid {} uid {} gid {}", name_, peer.pid,
                 peer.uid, peer.gid);
  }
}

Status VhostPort::start_rings(Device& device) {
  const auto places = device.places();
  if (!places) return places.error();
  owned_ = Link::make({.memory = device.memory(), .features = device.features(), .pairs = *places});
  service_.interrupts_->set_peer(interrupts_id_, device.kicks(), device.calls());
  takes_offload_.store(owned_->takes_offload(), std::memory_order_relaxed);  // a hint
  link_.store(owned_.get(), std::memory_order_release);  // publishes the Link's contents
  link_state_ = api::LinkState::up;
  detail_.clear();
  // Interrupts may have been lost while the rings were at rest; one too many does no harm.
  raise((1U << 2 * owned_->pairs()) - 1);
  wake_();  // a worker that sleeps armed what was there before
  return {};
}

void VhostPort::stop_rings(Device& device, std::function<void()> then) {
  link_state_ = api::LinkState::down;
  detail_ = "the front-end stopped the rings";
  const std::weak_ptr<int> alive = connection_;
  // The device lives as long as the connection.
  service_.rcu_.retire([link = unpublish(), alive, &device, then = std::move(then)] {
    if (alive.expired()) return;
    link->finish();
    for (uint8_t i = 0; i < 2 * link->pairs(); ++i) device.set_base(i, link->base(i));
    then();
  });
}

std::shared_ptr<Link> VhostPort::unpublish() {
  takes_offload_.store(false, std::memory_order_relaxed);  // a hint
  service_.interrupts_->clear_peer(interrupts_id_);
  // A worker may still use it until its grace period ends.
  link_.store(nullptr, std::memory_order_release);
  return std::exchange(owned_, nullptr);
}

void VhostPort::disconnected(const std::string& reason) {
  // A peer that stays away for one reason is worth one line.
  const std::string before = api::get_text(peer_.last_end);
  const bool news = connection_ != nullptr || before.empty() || !reason.starts_with(before);
  retire_link(reason);
  // A refused stranger does not wipe out what the port was quarantined for.
  if (link_state_ != api::LinkState::quarantined) {
    link_state_ = api::LinkState::down;
    detail_ = reason;
  }
  if (news && log_gate_.open()) spdlog::info("vhost-user port {}: {}", name_, reason);
}

void VhostPort::retire_link(const std::string& reason) {
  connection_.reset();
  const uint64_t connections = peer_.connections;
  peer_ = {};
  peer_.connections = connections;
  api::set_text(peer_.last_end, reason);
  if (owned_ != nullptr) service_.rcu_.retire([link = unpublish()] {});
}

void VhostPort::housekeep() {
  if (owned_ == nullptr || !owned_->faulty()) return;
  detail_ = owned_->fault_text();
  link_state_ = api::LinkState::quarantined;
  if (log_gate_.open()) spdlog::warn("vhost-user port {} quarantined: {}", name_, detail_);
  control_->hang_up(kQuarantine);
  retire_link(detail_);
}

void VhostPort::state(api::PortState& state) const {
  state.link = link_state_;
  api::set_text(state.detail, detail_);
  state.memif = peer_;
  if (owned_ == nullptr) return;
  owned_->state(state.memif);
  state.vhost_features = owned_->features();
}

}  // namespace weir::dataplane::vhost
