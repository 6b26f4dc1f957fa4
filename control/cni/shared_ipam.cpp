#include "control/cni/shared_ipam.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/cni/cni_error.h"

namespace weir::control {

namespace {

using Missing = HostLocalDir::Missing;

Status release_in(const std::string& directory, const cni::AttachmentName& name) {
  const auto shared = HostLocalDir::open(directory, Missing::fail);
  if (shared) return shared->release(name.container_id, name.ifname);
  if (shared.error().code == ErrorCode::not_found) return {};
  return shared.error();
}

Status collect_in(const std::string& directory, const std::vector<cni::AttachmentName>& valid) {
  const auto shared = HostLocalDir::open(directory, Missing::fail);
  if (!shared && shared.error().code == ErrorCode::not_found) return {};
  if (!shared) return shared.error();
  const auto entries = shared->entries();
  if (!entries) return entries.error();
  for (const HostLocalDir::Entry& entry : *entries) {
    const bool listed = std::ranges::any_of(valid, [&](const cni::AttachmentName& name) {
      const bool same_interface = entry.ifname.empty() || entry.ifname == name.ifname;
      return entry.container_id == name.container_id && same_interface;
    });
    if (listed) continue;
    const Status released = shared->release(entry.container_id, entry.ifname);
    if (!released) return released;
  }
  return {};
}

}  // namespace

cni::Outcome<std::string> shared_directory(const cni::NetworkConfig& config) {
  if (!config.ipam.is_object() || cni::delegates_ipam(config)) return std::string();
  cni::FieldReader reader(config.ipam, "ipam");
  const std::string directory = reader.text("dataDir");
  if (reader.error()) return *reader.error();
  if (directory.empty()) return std::string();
  if (!directory.starts_with('/')) {
    return cni::Error{cni::Code::invalid_config, "ipam.dataDir is not an absolute path",
                      "host-local's own default is /var/lib/cni/networks"};
  }
  return directory + "/" + config.name;
}

Task<cni::Outcome<std::unique_ptr<HostLocalDir>>> lock_shared(Controller& controller,
                                                              std::string directory) {
  const auto work = [&directory] { return HostLocalDir::open(directory, Missing::make); };
  Result<HostLocalDir> opened = co_await controller.delegates.run(work);
  if (!opened) co_return cni_error(opened.error(), "cannot share addresses with host-local");
  co_return std::make_unique<HostLocalDir>(*std::move(opened));
}

Task<bool> release_shared(Controller& controller, const cni::NetworkConfig& config,
                          cni::AttachmentName name) {
  const cni::Outcome<std::string> directory = shared_directory(config);
  if (!directory || directory->empty()) co_return true;
  const auto work = [&] { return release_in(*directory, name); };
  const Status released = co_await controller.delegates.run(work);
  if (released) co_return true;
  spdlog::warn("host-local still has the addresses of {}: {}", name.container_id,
               released.error().text);
  co_return false;
}

Task<Status> collect_shared(Controller& controller, const cni::NetworkConfig& config) {
  const cni::Outcome<std::string> directory = shared_directory(config);
  if (!directory || directory->empty()) co_return Status{};
  const auto work = [&] { return collect_in(*directory, *config.valid_attachments); };
  co_return co_await controller.delegates.run(work);
}

}  // namespace weir::control
