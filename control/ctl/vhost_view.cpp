#include "control/ctl/vhost_view.h"

#include <string>
#include <string_view>

#include "control/ctl/memif_view.h"

namespace weir::ctl {
namespace {

// Bits of virtio 1.2, 5.1.3 and 6.
constexpr uint64_t kGuestOffloads = 1ULL << 1 | 1ULL << 7 | 1ULL << 8;
constexpr uint64_t kMergeable = 1ULL << 15;
constexpr uint64_t kPacked = 1ULL << 34;

std::string_view vhost_role(const api::PortConfig& config) {
  return config.vhost_role == api::VhostRole::client ? "client" : "server";
}

bool has(const api::PortState& port, uint64_t features) {
  return (port.vhost_features & features) == features;
}

std::string features_text(const api::PortState& port) {
  if (port.vhost_features == 0) return "";
  return std::string(has(port, kPacked) ? "packed rings" : "split rings") +
         (has(port, kMergeable) ? ", mergeable buffers" : "") +
         (has(port, kGuestOffloads) ? ", checksum and TSO offload" : "");
}

std::string peer_text(const api::MemifState& peer) {
  if (peer.peer_pid == 0) return "";
  return "pid " + std::to_string(peer.peer_pid) + ", uid " + std::to_string(peer.peer_uid) +
         ", gid " + std::to_string(peer.peer_gid);
}

}  // namespace

Json vhost_json(const api::PortState& port) {
  const api::PortConfig& config = port.config;
  const api::MemifState& peer = port.memif;
  return {{"role", vhost_role(config)},
          {"queues", config.vhost_queues},
          {"takes_hugetlbfs", (config.flags & api::kPortUnsealed) != 0},
          {"peer", {{"pid", peer.peer_pid}, {"uid", peer.peer_uid}, {"gid", peer.peer_gid}}},
          {"features", json_u64(port.vhost_features)},
          {"packed", has(port, kPacked)},
          {"mergeable", has(port, kMergeable)},
          {"offload", has(port, kGuestOffloads)},
          {"connections", json_u64(peer.connections)},
          {"last_end", field_text(peer.last_end)},
          {"regions", peer.regions},
          {"region_bytes", json_u64(peer.region_bytes)},
          {"rings", rings_json(peer)}};
}

void add_vhost_fields(Fields& fields, const api::PortState& port) {
  const api::MemifState& peer = port.memif;
  fields.add("vhost-user", std::string(vhost_role(port.config)) +
                               ((port.config.flags & api::kPortUnsealed) != 0 ? ", trusted" : ""));
  fields.add("peer", peer_text(peer));
  fields.add("agreed on", features_text(port));
  fields.add("memory", peer.regions == 0 ? ""
                                         : std::to_string(peer.regions) + " regions, " +
                                               std::to_string(peer.region_bytes) + " bytes");
  fields.add("connections", std::to_string(peer.connections));
  fields.add("last one ended", field_text(peer.last_end));
}

}  // namespace weir::ctl
