#include "control/cni/teardown.h"

#include <spdlog/spdlog.h>

#include "cni/fault/fault.h"
#include "control/cni/delegate.h"
#include "control/cni/device_info.h"
#include "control/cni/pod_port.h"
#include "control/cni/shared_ipam.h"
#include "control/reconcile/records.h"
#include "control/services/sources.h"

namespace weir::control {

namespace {

Status remove_pod_link(const std::string& netns, const PodLink& link) {
  WEIR_FAULT_ERROR("del.link_wanted");
  const Result<Namespace> space = Namespace::open(netns);
  if (!space) return {};  // the interface went with it
  return space->run([&] { return remove_link(link); });
}

Task<> delete_port(Controller& controller, const Attachment& row) {
  const uint64_t key = row.id;
  const Status gone =
      co_await controller.dataplane.call<Status>([key](api::Client& client) -> Status {
        WEIR_FAULT_ERROR("del.port_wanted");
        return client.port_delete(key);
      });
  if (!gone) {
    spdlog::info("port {} of {} goes with the next replay: {}", key, row.container_id,
                 gone.error().text);
  }
}

// What the attachment has outside weir's store, the pod and the dataplane. True: it is gone.
Task<bool> release_outside(Controller& controller, const Attachment& row) {
  const auto config = cni::parse_network_config(row.config, cni::Command::del);
  if (!config) co_return true;
  const std::string& info = config->runtime.device_info_file;
  if (on_socket(row.kind) && !info.empty()) {
    const auto work = [&info] { return remove_device_info(info); };
    const Status removed = co_await controller.pool.run(work);
    if (!removed) spdlog::warn("{}", removed.error().text);
  }
  const cni::AttachmentName name{row.container_id, row.ifname};
  const bool released = co_await release_shared(controller, *config, name);
  WEIR_FAULT_POINT("shared.released");
  co_return released;
}

// True: the attachment's addresses are free at the plugin that gave them.
Task<bool> release_delegated(Controller& controller, const Attachment& row,
                             const cni::Request* request) {
  std::optional<DelegateCall> call = delegate_del_call(row);
  if (!call) co_return true;
  if (request != nullptr) {
    call->config = request->config;
    if (!request->environment.inherited.empty()) call->environment = request->environment.inherited;
  }
  const cni::Outcome<std::string> done = co_await run_delegate(controller, *std::move(call));
  WEIR_FAULT_POINT("delegate.released");
  if (done) co_return true;
  spdlog::warn("the addresses of {} are freed later: {} {}", row.container_id, done.error().msg,
               done.error().details);
  // weir's own copy goes now: the plugin may have freed them all the same.
  const Status released = controller.ipam.release(row.id);
  if (!released) spdlog::warn("{}", released.error().text);
  co_return false;
}

}  // namespace

Task<> teardown(Controller& controller, Attachment row, const cni::Request* request) {
  WEIR_FAULT_POINT("del.wanted");
  const Status marked = controller.store.set_attachment_state(row.id, AttachmentState::deleting);
  if (!marked)
    spdlog::warn("cannot mark {} as deleting: {}", row.container_id, marked.error().text);
  WEIR_FAULT_POINT("del.marked");
  const Status forgotten = remove_record(controller.paths.records_dir(), row.id);
  if (!forgotten) spdlog::warn("{}", forgotten.error().text);
  WEIR_FAULT_POINT("del.unrecorded");
  controller.live.erase(row.id);
  pod_detached(controller, row.id);  // before its port: no new connection goes there
  co_await delete_port(controller, row);
  WEIR_FAULT_POINT("del.port_deleted");
  if (row.kind == api::PortKind::kernel && !row.netns.empty()) {
    const PodLink link = pod_link(row);
    const std::string netns = row.netns;
    const Status removed =
        co_await controller.pool.run([&netns, &link] { return remove_pod_link(netns, link); });
    if (!removed) {
      spdlog::warn("{} in {} is removed later: {}", row.ifname, netns, removed.error().text);
      co_return;
    }
  }
  WEIR_FAULT_POINT("del.link_removed");
  const bool outside_done = co_await release_outside(controller, row);
  const bool delegate_done = co_await release_delegated(controller, row, request);
  if (!delegate_done || !outside_done) co_return;
  const Status released = controller.ipam.remove(row.id);
  if (!released) {
    spdlog::warn("the addresses of {} are freed later: {}", row.container_id,
                 released.error().text);
  }
  WEIR_FAULT_POINT("del.released");
}

Task<> finish_teardowns(Controller& controller) {
  const Result<std::vector<Attachment>> rows = controller.store.attachments();
  if (!rows) co_return;  // the next request says why
  for (const Attachment& row : *rows) {
    if (row.state != AttachmentState::deleting) continue;
    const auto lock =
        co_await controller.locks.lock(lock_name(row.network, row.container_id, row.ifname));
    const Result<std::optional<Attachment>> now = controller.store.find_attachment(row.id);
    if (now && *now) co_await teardown(controller, **now);
  }
}

std::string lock_name(const std::string& network, const std::string& container_id,
                      const std::string& ifname) {
  return network + "/" + container_id + "/" + ifname;
}

}  // namespace weir::control
