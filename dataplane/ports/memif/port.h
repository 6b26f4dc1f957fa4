// The memif port: the project's own end of memif 2.0 for a hostile pod, in either role.
//
// Life of a connection: Control meets a peer and collects a Session -> a Link is
// published to the worker -> the peer leaves, breaks the rules or the port goes ->
// the Link is unpublished -> grace period -> its memory is unmapped.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/api/error.h"
#include "dataplane/core/port.h"
#include "dataplane/core/rcu.h"
#include "dataplane/ports/memif/control.h"
#include "dataplane/ports/memif/interrupts.h"
#include "dataplane/ports/memif/ip_framing.h"
#include "dataplane/ports/memif/link.h"
#include "dataplane/ports/memif/log_gate.h"
#include "dataplane/runtime/event_loop.h"

namespace weir::dataplane::memif {

inline constexpr std::chrono::seconds kQuarantine{
    1};  // before a port that was lied to meets a peer again

class MemifService;

class MemifPort final : public Port {
 public:
  ~MemifPort() override;

  uint16_t rx(const RxBatch& batch, DropSink& drops) noexcept override;
  void rx_done() noexcept override;
  uint16_t tx(std::span<Packet* const> packets, Drop* drops) noexcept override;
  void flush() noexcept override;
  bool arm() noexcept override;
  void disarm() noexcept override;
  void close() noexcept override;
  void state(api::PortState& state) const override;

  // Main thread: disconnects a peer whose link is broken. The service calls it.
  void housekeep();
  // Descriptors of past peers that are not closed yet.
  size_t undisposed() const { return control_ ? control_->undisposed() : 0; }

 private:
  friend class MemifService;
  MemifPort(MemifService& service, std::function<void()> wake);

  Status start(const api::PortConfig& config);
  Result<std::unique_ptr<Control>> make_control(const api::PortConfig& config);
  void connected(Session& session);
  void disconnected(const std::string& reason);
  void retire_link(const std::string& reason);
  void report_fault(Link& link) noexcept;
  static uint16_t send_ip(Link& link, uint8_t queue, std::span<Packet* const> packets,
                          Drop* drops) noexcept;

  MemifService& service_;
  std::function<void()> wake_;
  std::atomic<Link*> link_{nullptr};  // main thread publishes (release), the worker uses
  Bell bell_;
  std::optional<IpFraming> ip_;  // in IP mode; set before the port is published
  Interrupts::Id interrupts_id_ = 0;
  // Main thread only.
  std::string name_;
  api::LinkState link_state_ = api::LinkState::down;
  std::string detail_;
  std::string peer_name_;
  api::MemifState memif_;  // without what the Link knows
  LogGate log_gate_;
  std::unique_ptr<Control> control_;
};

// What all memif ports share. Main thread; outlives its ports.
class MemifService {
 public:
  // Starts the helper thread. The loop and the Rcu outlive the service.
  static Result<std::unique_ptr<MemifService>> create(EventLoop& loop, Rcu& rcu);
  ~MemifService();
  MemifService(const MemifService&) = delete;
  MemifService& operator=(const MemifService&) = delete;

  // Listens on config.socket_path, or connects to it in the client role. `wake` wakes the port's
  // worker from its sleep; it is called on the main and on the helper thread, must not block, and
  // must not be lost on a worker that has armed the port but does not sleep yet.
  Result<std::unique_ptr<MemifPort>> make_port(const api::PortConfig& config,
                                               std::function<void()> wake);

 private:
  friend class MemifPort;
  MemifService(EventLoop& loop, Rcu& rcu) : loop_(loop), rcu_(rcu) {}
  void on_broken();

  EventLoop& loop_;
  Rcu& rcu_;
  api::Fd broken_;  // eventfd: the helper saw a broken link
  std::unique_ptr<Interrupts> interrupts_;
  std::vector<MemifPort*> ports_;
};

}  // namespace weir::dataplane::memif
