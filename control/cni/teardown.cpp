#include "control/cni/teardown.h"

#include <spdlog/spdlog.h>

#include "control/cni/pod_port.h"

namespace weir::control {

namespace {

Status remove_pod_link(const std::string& netns, const PodLink& link) {
  const Result<Namespace> space = Namespace::open(netns);
  if (!space) return {};  // the interface went with it
  return space->run([&] { return remove_link(link); });
}

Task<> delete_port(Controller& controller, const Attachment& row) {
  const uint64_t key = row.id;
  const Status gone = co_await controller.dataplane.call<Status>(
      [key](api::Client& client) { return client.port_delete(key); });
  if (!gone) {
    spdlog::info("port {} of {} goes with the next replay: {}", key, row.container_id,
                 gone.error().text);
  }
}

}  // namespace

Task<> teardown(Controller& controller, Attachment row) {
  const Status marked = controller.store.set_attachment_state(row.id, AttachmentState::deleting);
  if (!marked)
    spdlog::warn("cannot mark {} as deleting: {}", row.container_id, marked.error().text);
  controller.live.erase(row.id);
  co_await delete_port(controller, row);
  if (row.kind == api::PortKind::kernel && !row.netns.empty()) {
    const PodLink link = pod_link(row);
    const std::string netns = row.netns;
    const Status removed =
        co_await controller.pool.run([&netns, &link] { return remove_pod_link(netns, link); });
    if (!removed) spdlog::warn("{} in {} stays: {}", row.ifname, netns, removed.error().text);
  }
  const Status released = controller.ipam.remove(row.id);
  if (!released) {
    spdlog::warn("the addresses of {} are freed later: {}", row.container_id,
                 released.error().text);
  }
}

std::string lock_name(const std::string& network, const std::string& container_id,
                      const std::string& ifname) {
  return network + "/" + container_id + "/" + ifname;
}

}  // namespace weir::control
