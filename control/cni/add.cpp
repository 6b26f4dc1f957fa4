#include "control/cni/add.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>

#include "cni/fault/fault.h"
#include "control/cni/add_plan.h"
#include "control/cni/admission.h"
#include "control/cni/cni_error.h"
#include "control/cni/device_info.h"
#include "control/cni/pod_port.h"
#include "control/cni/pod_result.h"
#include "control/cni/shared_ipam.h"
#include "control/cni/teardown.h"
#include "control/reconcile/adopt.h"
#include "control/reconcile/spool.h"
#include "control/services/sources.h"

namespace weir::control {

namespace {

constexpr auto kReadyWait = std::chrono::seconds(2);
constexpr auto kReadyPoll = std::chrono::milliseconds(20);

using Failure = std::optional<cni::Error>;

// One ADD on its way. Steps in order; whichever fails, teardown() undoes them all.
class Addition {
 public:
  Addition(Controller& controller, AddPlan plan)
      : controller_(controller), plan_(std::move(plan)), row_(plan_.row) {}

  // Intent and lease are stored together, before anything else is touched; with a
  // delegated IPAM the intent comes first.
  Task<Failure> lock_pool();
  Failure reserve();
  Failure share();
  Task<Failure> ask_delegate();
  Failure prepare();
  Task<Failure> attach();
  Failure finish();

  const Attachment& row() const noexcept { return row_; }
  cni::Json result() const { return cni::render(result_, plan_.config.version); }

 private:
  Status store_row();
  Status store_result();
  Status set_own_mac();
  Result<api::Fd> make_link() const;
  Failure take_delegated(const std::string& output);
  Task<Failure> make_interface();
  Task<Failure> set_port();
  Result<api::PortState> ask_port(api::Client& client) const;
  Task<Failure> write_info();
  Result<Elsewhere> elsewhere() const;
  bool is_kernel() const noexcept { return row_.kind == api::PortKind::kernel; }

  Controller& controller_;
  const AddPlan plan_;
  Attachment row_;
  std::vector<Lease> leases_;
  std::vector<cni::RouteConfig> routes_;
  cni::Dns dns_;                          // of a delegated IPAM
  std::unique_ptr<HostLocalDir> shared_;  // holds its lock
  api::PortConfig port_;
  PodLink link_;
  api::Fd tap_;
  cni::Result result_;
};

Status Addition::set_own_mac() {
  if (plan_.own_mac) return {};
  row_.mac = pod_mac(row_.id);
  return controller_.store.update_attachment(row_);
}

Task<Failure> Addition::lock_pool() {
  if (plan_.shared.empty()) co_return std::nullopt;
  controller_.shared[row_.network] = plan_.shared;
  auto locked = co_await lock_shared(controller_, plan_.shared);
  if (!locked) co_return locked.error();
  shared_ = *std::move(locked);
  co_return std::nullopt;
}

Result<Elsewhere> Addition::elsewhere() const {
  return shared_ ? shared_->elsewhere(plan_.ranges.size()) : Elsewhere{};
}

Status Addition::store_row() {
  WEIR_FAULT_ERROR("add.wanted");
  // Others' records of addresses survive a power cut, so the intent must too.
  const bool outlives = plan_.delegated || shared_;
  const Durability durability = outlives ? Durability::power_cut : Durability::process;
  Result<Transaction> transaction = controller_.store.begin(durability);
  if (!transaction) return transaction.error();
  const Result<uint64_t> id = controller_.store.add_attachment(row_);
  if (!id) return id.error();
  row_.id = *id;
  WEIR_FAULT_ERROR("add.row_written");
  if (const Status set = set_own_mac(); !set) return set;
  if (plan_.delegated) return transaction->commit();
  const Result<Elsewhere> others = elsewhere();
  if (!others) return others.error();
  Result<std::vector<Lease>> leases =
      controller_.ipam.allocate(row_.id, row_.network, plan_.ranges, plan_.requested, *others);
  if (!leases) return leases.error();
  leases_ = *std::move(leases);
  WEIR_FAULT_ERROR("add.lease_written");
  return transaction->commit();
}

Failure Addition::reserve() {
  if (Failure full = over_budget(controller_, cni::Code::try_later)) return full;
  row_.state = AttachmentState::adding;
  if (const Status stored = store_row(); !stored) {
    row_.id = 0;  // rolled back
    return cni_error(stored.error());
  }
  routes_ = plan_.routes;
  return std::nullopt;
}

Failure Addition::share() {
  if (!shared_) return std::nullopt;
  const Status written = shared_->reserve(leases_, row_.container_id, row_.ifname);
  WEIR_FAULT_POINT("shared.reserved");
  shared_.reset();
  if (!written) return cni_error(written.error(), "cannot share addresses with host-local");
  return std::nullopt;
}

Failure Addition::take_delegated(const std::string& output) {
  auto given = read_delegated(output, row_);
  if (!given) return given.error();
  leases_ = std::move(given->leases);
  dns_ = std::move(given->dns);
  routes_ = given->routes.empty() ? default_routes() : std::move(given->routes);
  const bool ip6 = std::ranges::any_of(leases_, [](const Lease& l) { return l.address.is_ip6(); });
  if (const auto wrong = check_mtu(row_.mtu, ip6)) return wrong;
  const Status claimed = controller_.ipam.claim(row_.id, leases_);
  if (!claimed) return cni_error(claimed.error(), "the IPAM plugin's addresses cannot be used");
  return std::nullopt;
}

Task<Failure> Addition::ask_delegate() {
  if (!plan_.delegated) co_return std::nullopt;
  const cni::Outcome<std::string> output = co_await run_delegate(controller_, plan_.delegate);
  if (!output) co_return output.error();
  WEIR_FAULT_POINT("delegate.answered");
  co_return take_delegated(*output);
}

Failure Addition::prepare() {
  routes_ = for_leases(routes_, leases_);
  link_ = pod_link(row_, leases_, routes_);
  auto port = port_config(controller_, row_, leases_, plan_.config);
  if (!port) return port.error();
  port_ = *port;
  return std::nullopt;
}

// Runs in the pod's namespace.
Result<api::Fd> Addition::make_link() const {
  WEIR_FAULT_ERROR("add.reserved");
  if (const Status up = loopback_up(); !up) return up.error();
  WEIR_FAULT_ERROR("add.loopback_up");
  if (!is_kernel()) return api::Fd();
  Result<api::Fd> tap = create_link(link_);
  if (!tap) return tap;
  WEIR_FAULT_ERROR("add.link_made");
  if (const Status done = configure_new_link(link_); !done) return done.error();
  WEIR_FAULT_ERROR("add.link_configured");
  return tap;
}

// One visit to the namespace: each costs a thread and four changes of context.
Task<Failure> Addition::make_interface() {
  const Result<Namespace> space = Namespace::open(row_.netns);
  if (!space) co_return cni::Error{cni::Code::invalid_netns, space.error().text, ""};
  const auto make = [this] { return make_link(); };
  const auto work = [&] { return space->run_for<api::Fd>(make); };
  Result<api::Fd> tap = co_await controller_.pool.run(work);
  if (!tap) co_return cni_error(tap.error(), "cannot make " + row_.ifname + " in " + row_.netns);
  tap_ = *std::move(tap);
  co_return std::nullopt;
}

// A dataplane that has no room may have some later.
cni::Error refused(const Error& error) {
  cni::Error out = cni_error(error, "weir-dataplane did not take the port");
  if (error.code == ErrorCode::limit || error.code == ErrorCode::no_memory) {
    out.code = cni::Code::try_later;
  }
  return out;
}

// Runs on the session's thread.
Result<api::PortState> Addition::ask_port(api::Client& client) const {
  WEIR_FAULT_ERROR("add.port_wanted");
  Result<api::PortState> state = client.port_set(port_, tap_.get());
  WEIR_FAULT_ERROR("add.port_set");
  if (!state || !plan_.limits.any()) return state;
  api::PortLimits limits = plan_.limits;
  limits.key = row_.id;
  if (const Status limited = client.port_limit(limits); !limited) return limited.error();
  return state;
}

Task<Failure> Addition::write_info() {
  if (plan_.device_info.empty()) co_return std::nullopt;
  const auto work = [this] { return write_device_info(plan_.device_info, port_); };
  const Status written = co_await controller_.pool.run(work);
  if (!written) co_return cni_error(written.error());
  co_return std::nullopt;
}

Task<Failure> Addition::set_port() {
  const auto ask = [this](api::Client& client) { return ask_port(client); };
  const auto set = co_await controller_.dataplane.call<Result<api::PortState>>(ask);
  if (!set) co_return refused(set.error());
  controller_.live.insert(row_.id);
  tap_.reset();  // the dataplane has its own
  co_return std::nullopt;
}

Status write_out(int log) {
  WEIR_FAULT_ERROR("add.stored");
  if (fdatasync(log) == 0) return {};
  return errno_error("cannot write the store to disk: check the disk and its free space", errno);
}

// Nothing that is made here outlives a power cut, so the disk may lag behind until the
// answer: its millisecond passes beside the work.
Task<Failure> Addition::attach() {
  const int log = controller_.store.log_fd();
  const auto write = [log] { return write_out(log); };
  const auto written = controller_.pool.start(write);
  Failure failure = co_await make_interface();
  if (!failure) failure = co_await set_port();
  if (!failure) failure = co_await write_info();
  const Status durable = co_await written.get();
  if (!failure && !durable) failure = cni_error(durable.error());
  co_return failure;
}

Status Addition::store_result() {
  WEIR_FAULT_ERROR("add.result_known");
  // Intent and lease are on disk; after a power cut this attachment is gone all the same.
  Result<Transaction> transaction = controller_.store.begin(Durability::process);
  if (!transaction) return transaction.error();
  if (const Status kept = record_attachment(controller_, row_, leases_); !kept) return kept;
  WEIR_FAULT_ERROR("add.recorded");
  if (const Status set = controller_.store.update_attachment(row_); !set) return set;
  if (const Status stored = transaction->commit(); !stored) return stored;
  WEIR_FAULT_ERROR("add.ready");
  return {};
}

Failure Addition::finish() {
  result_ = make_result(plan_, row_, leases_, routes_, port_);
  if (result_.dns.empty()) result_.dns = dns_;
  row_.state = AttachmentState::ready;
  row_.result = cni::render(result_, cni::kNewestVersion).dump();
  const Status stored = store_result();
  if (!stored) return cni_error(stored.error());
  controller_.live.erase(row_.id);
  pod_attached(controller_, row_);
  return std::nullopt;
}

// A socket's name holds no network, so one name serves one attachment only.
Result<bool> name_taken(Controller& controller, const Attachment& wanted) {
  const Result<std::vector<Attachment>> rows = controller.store.attachments();
  if (!rows) return rows.error();
  for (const Attachment& row : *rows) {
    if (row.container_id == wanted.container_id && row.ifname == wanted.ifname &&
        row.network != wanted.network) {
      return true;
    }
  }
  return false;
}

// An earlier ADD that succeeded stands; the rest of one that did not is removed.
Task<Failure> clear_place(Controller& controller, const Attachment& wanted) {
  const cni::Error taken{cni::Code::exists, wanted.container_id + " already has " + wanted.ifname,
                         "it stays as it is; DEL it first"};
  const Result<std::optional<Attachment>> there =
      controller.store.find_attachment(wanted.network, wanted.container_id, wanted.ifname);
  if (!there) co_return cni_error(there.error());
  if (*there && (*there)->state == AttachmentState::ready) co_return taken;
  if (*there) co_await teardown(controller, **there);
  if (!on_socket(wanted.kind)) co_return std::nullopt;
  const Result<bool> other = name_taken(controller, wanted);
  if (!other) co_return cni_error(other.error());
  co_return *other ? Failure(taken) : std::nullopt;
}

Failure not_ready(const Controller& controller) {
  return cni::Error{cni::Code::try_later, "the dataplane is not ready",
                    controller.dataplane.view().reason};
}

// A dataplane that restarts is back within a moment; that is worth waiting for.
Task<Failure> wait_ready(Controller& controller) {
  const auto end = std::chrono::steady_clock::now() + kReadyWait;
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (!controller.dataplane.ready()) {
    if (std::chrono::steady_clock::now() > end) co_return not_ready(controller);
    timer.expires_after(kReadyPoll);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return std::nullopt;
}

}  // namespace

Task<cni::Outcome<cni::Json>> add_attachment(Controller& controller, cni::Request request) {
  auto plan = plan_add(controller, request);
  if (!plan) co_return plan.error();
  const Failure busy = co_await wait_ready(controller);
  if (busy) co_return *busy;
  co_await drain_spool(controller);
  const Attachment wanted = plan->row;
  const auto lock =
      co_await controller.locks.lock(lock_name(wanted.network, wanted.container_id, wanted.ifname));
  if (const Failure taken = co_await clear_place(controller, wanted)) co_return *taken;
  Addition addition(controller, *std::move(plan));
  Failure failure = co_await addition.lock_pool();
  if (!failure) failure = addition.reserve();
  if (!failure) failure = addition.share();
  if (!failure) failure = co_await addition.ask_delegate();
  if (!failure) failure = addition.prepare();
  if (!failure) failure = co_await addition.attach();
  if (!failure) failure = addition.finish();
  if (!failure) {
    // A pod's host ports are there when its runtime goes on.
    if (controller.services.dirty()) {
      const Status sent = co_await controller.service_sync.flush();
      if (!sent) spdlog::warn("services of {}: {}", addition.row().container_id, sent.error().text);
    }
    co_return addition.result();
  }
  if (addition.row().id != 0) co_await teardown(controller, addition.row());
  spdlog::warn("ADD {} {}: {}: {}", addition.row().container_id, addition.row().ifname,
               failure->msg, failure->details);
  co_return *failure;
}

}  // namespace weir::control
