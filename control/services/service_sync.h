// Keeps the dataplane in step with the catalog of services.
#pragma once

#include <functional>

#include "control/dataplane/session.h"
#include "control/loop/key_lock.h"
#include "control/services/catalog.h"

namespace weir::control {

// While one plan travels, all that changes makes the next one: however many changes a
// second, there is never more than one on its way and one waiting.
// Threads: the control thread.
class ServiceSync {
 public:
  ServiceSync(asio::io_context& loop, DataplaneSession& dataplane, ServiceCatalog& catalog)
      : loop_(loop), dataplane_(dataplane), catalog_(catalog), locks_(loop), retry_(loop) {}

  // Every source has been read: until then nothing is sent, lest a dataplane that runs
  // loses services that are only not known yet.
  void start();
  bool started() const noexcept { return started_; }
  void stop();

  // To be called after a change of the catalog.
  void changed();
  // The same, and waits until the dataplane has it. An error: it refused something, which
  // is sent again later, or is away, and has it from its next replay.
  Task<Status> flush();

  // Called after each flush that sent something, and when changes were replayed.
  void on_sent(std::function<void()> observer) { observer_ = std::move(observer); }
  // What a replay reported.
  void replayed(const std::vector<Error>& failed);

 private:
  Task<> flush_soon();
  Task<> send_again();
  Task<Result<ServiceReport>> send(ServicePlan plan);
  Status check(const Result<ServiceReport>& sent);
  void schedule_retry();

  asio::io_context& loop_;
  DataplaneSession& dataplane_;
  ServiceCatalog& catalog_;
  KeyLocks locks_;  // of its own: one flush at a time
  asio::steady_timer retry_;
  std::function<void()> observer_;
  Status last_;  // what became of the plan that was sent last
  bool started_ = false;
  bool scheduled_ = false;
  bool retrying_ = false;
};

}  // namespace weir::control
