#include "control/services/service_sync.h"

#include <spdlog/spdlog.h>

namespace weir::control {

namespace {

constexpr char kLock[] = "services";
constexpr std::chrono::seconds kRetryPause(5);
constexpr size_t kLoggedFailures = 10;  // of one plan; the rest are like them

}  // namespace

void ServiceSync::start() {
  started_ = true;
  changed();
}

void ServiceSync::stop() {
  started_ = false;
  retry_.cancel();
}

void ServiceSync::changed() {
  if (!started_ || scheduled_ || !catalog_.dirty()) return;
  scheduled_ = true;
  asio::co_spawn(loop_, flush_soon(), asio::detached);
}

// `scheduled_` ends before the changes are taken: what comes later schedules again.
Task<> ServiceSync::flush_soon() {
  const auto lock = co_await locks_.lock(kLock);
  scheduled_ = false;
  if (!started_ || !catalog_.dirty()) co_return;
  const Result<ServiceReport> sent = co_await send(catalog_.take_changes());
  static_cast<void>(check(sent));
}

Task<Status> ServiceSync::flush() {
  const auto lock = co_await locks_.lock(kLock);
  if (!started_) co_return Status{};
  if (!catalog_.dirty()) co_return last_;  // another's flush took the change along
  const Result<ServiceReport> sent = co_await send(catalog_.take_changes());
  co_return check(sent);
}

// Without a connection the call fails at once; nothing is lost, as the catalog stays.
Task<Result<ServiceReport>> ServiceSync::send(ServicePlan plan) {
  if (observer_) observer_();
  if (plan.empty()) co_return ServiceReport{};
  const auto kept = std::make_shared<ServicePlan>(std::move(plan));
  const auto call = [kept](api::Client& client) { return send_services(client, *kept); };
  co_return co_await dataplane_.call<Result<ServiceReport>>(call);
}

Status ServiceSync::check(const Result<ServiceReport>& sent) {
  if (sent) {
    replayed(sent->failed);
  } else {
    last_ = sent.error();  // the next replay has it
  }
  return last_;
}

void ServiceSync::replayed(const std::vector<Error>& failed) {
  last_ = failed.empty() ? Status{} : Status{failed.front()};
  for (size_t i = 0; i < failed.size() && i < kLoggedFailures; ++i) {
    spdlog::warn("services: {}", failed[i].text);
  }
  if (!failed.empty()) schedule_retry();
}

// One retry at a time sends all of it again, so it does not matter how many failed.
void ServiceSync::schedule_retry() {
  if (std::exchange(retrying_, true)) return;
  asio::co_spawn(loop_, send_again(), asio::detached);
}

// What was refused may have had a reason that is gone: full tables, for one.
Task<> ServiceSync::send_again() {
  retry_.expires_after(kRetryPause);
  boost::system::error_code cancelled;
  co_await retry_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  retrying_ = false;
  if (!started_ || !dataplane_.ready()) co_return;
  const auto lock = co_await locks_.lock(kLock);
  const Result<ServiceReport> sent = co_await send(catalog_.whole());
  static_cast<void>(check(sent));
}

}  // namespace weir::control
