// The vhost-user port: the project's own end of vhost-user and its virtqueues for a hostile
// pod, as server or client of the socket (docs/adr/0007 says why not rte_vhost).
//
// Life of a connection: Control meets a front-end, collects a Device -> a Link is published to
// the worker -> the front-end leaves, changes something, breaks the rules or the port goes ->
// the Link is unpublished -> grace period -> its memory is unmapped, or rings go on elsewhere.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "dataplane/api/error.h"
#include "dataplane/core/port.h"
#include "dataplane/core/rcu.h"
#include "dataplane/ports/memif/interrupts.h"
#include "dataplane/ports/memif/log_gate.h"
#include "dataplane/ports/vhost/control.h"
#include "dataplane/ports/vhost/link.h"
#include "dataplane/runtime/event_loop.h"

namespace weir::dataplane::vhost {

class VhostService;

class VhostPort final : public Port {
 public:
  ~VhostPort() override;

  uint16_t rx(const RxBatch& batch, DropSink& drops) noexcept override;
  void rx_done() noexcept override;
  uint16_t tx(std::span<Packet* const> packets, Drop* drops) noexcept override;
  void flush() noexcept override;
  bool arm() noexcept override;
  void disarm() noexcept override;
  // Changes with the driver; a frame that was asked for before is refused by tx.
  bool takes_offload() const noexcept override {
    return takes_offload_.load(std::memory_order_relaxed);  // a hint, see Link
  }
  void close() noexcept override;
  void state(api::PortState& state) const override;

  // Main thread: disconnects a peer whose link is broken. The service calls it.
  void housekeep();
  // Descriptors of past peers that are not closed yet.
  size_t undisposed() const { return control_ ? control_->undisposed() : 0; }

 private:
  friend class VhostService;
  VhostPort(VhostService& service, std::function<void()> wake);

  Status start(const api::PortConfig& config);
  Result<std::unique_ptr<Control>> make_control(const api::PortConfig& config);
  void connected(const ucred& peer);
  Status start_rings(Device& device);
  void stop_rings(Device& device, std::function<void()> then);
  void disconnected(const std::string& reason);
  std::shared_ptr<Link> unpublish();
  void retire_link(const std::string& reason);
  void report_fault(Link& link) noexcept;
  void raise(uint32_t vrings) noexcept;

  VhostService& service_;
  std::function<void()> wake_;
  std::atomic<Link*> link_{nullptr};  // main thread publishes (release), the worker uses
  std::atomic<bool> takes_offload_{false};  // written by the main thread, read by workers
  memif::Bell bell_;
  memif::Interrupts::Id interrupts_id_ = 0;
  // Main thread only.
  std::shared_ptr<Link> owned_;     // what link_ points to
  std::shared_ptr<int> connection_; // gone when what was begun for a peer is void
  std::string name_;
  api::LinkState link_state_ = api::LinkState::down;
  std::string detail_;
  api::MemifState peer_;  // without what the Link knows
  memif::LogGate log_gate_;
  std::unique_ptr<Control> control_;
};

// What all vhost-user ports share. Main thread; outlives its ports.
class VhostService {
 public:
  // Starts the helper thread. The loop and the Rcu outlive the service.
  static Result<std::unique_ptr<VhostService>> create(EventLoop& loop, Rcu& rcu);
  ~VhostService();
  VhostService(const VhostService&) = delete;
  VhostService& operator=(const VhostService&) = delete;

  // Listens on config.socket_path, or connects to it in the client role. `wake`: see
  // MemifService::make_port.
  Result<std::unique_ptr<VhostPort>> make_port(const api::PortConfig& config,
                                               std::function<void()> wake);

 private:
  friend class VhostPort;
  VhostService(EventLoop& loop, Rcu& rcu) : loop_(loop), rcu_(rcu) {}
  void on_broken();

  EventLoop& loop_;
  Rcu& rcu_;
  api::Fd broken_;  // eventfd: the helper saw a broken link
  std::unique_ptr<memif::Interrupts> interrupts_;
  std::vector<VhostPort*> ports_;
};

}  // namespace weir::dataplane::vhost
