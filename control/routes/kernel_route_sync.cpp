#include "control/routes/kernel_route_sync.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "control/reconcile/routes.h"

namespace weir::control {

namespace {

constexpr size_t kMessagesATurn = 16;  // about 2000 routes, read in a few milliseconds
constexpr size_t kBatch = 1024;        // prefixes that the dataplane takes in one call
constexpr std::chrono::milliseconds kDumpPause(100);  // between dumps that a flapping link asks for
constexpr size_t kLoggedFailures = 10;                // of one batch

}  // namespace

Status KernelRouteSync::start() {
  if (!routes_.enabled()) return {};
  Result<RouteMonitor> monitor = RouteMonitor::open();
  if (!monitor) return monitor.error();
  monitor_ = *std::move(monitor);
  // Asio closes what it watches, and libnl its socket.
  socket_.emplace(loop_, dup(monitor_->fd()));
  stale_ = true;
  refresh();
  asio::co_spawn(loop_, follow(), asio::detached);
  return {};
}

void KernelRouteSync::stop() {
  stopping_ = true;
  pause_.cancel();
  if (socket_) socket_->cancel();
}

void KernelRouteSync::route_gone(const KernelRoute& route) {
  if (!routes_.remove(route)) stale_ = true;
}

void KernelRouteSync::dump_ended(bool whole) {
  dumping_ = false;
  if (whole) {
    routes_.end_dump();
  } else {
    stale_ = true;
  }
}

// Changes wait in the socket while a batch travels; the kernel says so when it overflows.
Task<> KernelRouteSync::follow() {
  while (!stopping_) {
    boost::system::error_code ended;
    co_await socket_->async_wait(asio::posix::descriptor_base::wait_read,
                                 asio::redirect_error(asio::use_awaitable, ended));
    if (stopping_ || ended) co_return;
    const bool more = read_some();
    changed();
    if (more || !stale_) continue;
    pause_.expires_after(kDumpPause);
    co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    refresh();
  }
}

// True: there is more to read.
bool KernelRouteSync::read_some() {
  for (size_t i = 0; i < kMessagesATurn; ++i) {
    const Result<bool> read = monitor_->read(*this);
    if (!read) spdlog::error("{}", read.error().text);
    if (!read || !*read) return false;
  }
  return true;
}

void KernelRouteSync::refresh() {
  if (stopping_ || dumping_ || !std::exchange(stale_, false)) return;
  routes_.begin_dump();
  const Status asked = monitor_->request_dump();
  dumping_ = bool{asked};
  if (!asked) spdlog::error("{}", asked.error().text);
}

void KernelRouteSync::changed() {
  // Until all of them are known the dataplane keeps what it has of an earlier life.
  if (stopping_ || flushing_ || !routes_.complete() || !routes_.changed()) return;
  flushing_ = true;
  asio::co_spawn(loop_, flush(), asio::detached);
}

Task<> KernelRouteSync::flush() {
  while (!stopping_ && routes_.changed()) {
    std::vector<IpPrefix> prefixes = routes_.take_changed(kBatch);
    co_await send(std::move(prefixes));
  }
  flushing_ = false;
}

// Without a connection the call fails at once; the next replay has them.
Task<> KernelRouteSync::send(std::vector<IpPrefix> prefixes) {
  const auto lock = co_await controller_.locks.lock(kRouteLock);
  Result<RouteChanges> wanted = wanted_routes(controller_, prefixes);
  if (!wanted) {
    spdlog::error("routes of the kernel: {}", wanted.error().text);
    co_return;
  }
  const auto changes = std::make_shared<const RouteChanges>(*std::move(wanted));
  const auto call = [changes](api::Client& client) { return send_routes(client, changes->set, changes->gone); };
  const Result<RouteReport> sent = co_await controller_.dataplane.call<Result<RouteReport>>(call);
  if (!sent) co_return;
  routes_.count_refused(sent->failed.size());
  for (size_t i = 0; i < sent->failed.size() && i < kLoggedFailures; ++i) {
    spdlog::warn("route of the kernel {}", sent->failed[i].text);
  }
}

}  // namespace weir::control
