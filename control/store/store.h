// What weir-control must not forget: attachments, leases, the operator's routes.
//
// Durability: when a command returns success outside a transaction, or a Transaction
// commits, the change survives a power cut (WAL, synchronous=FULL), unless the
// transaction was begun for less: what a reboot makes void anyway, as the state of an
// attachment, need not wait for the disk. A process that is killed leaves each
// transaction whole or absent.
// Thread safety: none; the control thread owns it. One process at a time: a second
// one gets `busy`.
// Errors: one sentence with the remedy. `exists`: a unique key is taken. `io`,
// `permission`: the disk refused; nothing of the command is stored.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/store/database.h"
#include "dataplane/api/codec.h"
#include "dataplane/api/error.h"
#include "dataplane/api/net.h"
#include "dataplane/api/protocol.h"

namespace weir::control {

// Milliseconds since 1970, UTC.
using UnixMillis = int64_t;
UnixMillis unix_millis() noexcept;

enum class AttachmentState : uint8_t {
  adding = 1,    // its ADD has not answered; after a restart it is undone
  ready = 2,     // its ADD succeeded
  deleting = 3,  // its DEL began; after a restart it is finished
};

// One interface of one pod, or the node's own host port.
struct Attachment {
  uint64_t id = 0;  // the dataplane's port key; never used again, not even after recovery
  std::string network;
  std::string container_id;
  std::string ifname;
  std::string netns;
  api::PortKind kind = api::PortKind::kernel;
  MacAddress mac;
  uint16_t mtu = 0;
  std::string config;  // the network configuration as it came on stdin
  std::string args;    // CNI_ARGS
  std::string cni_version;
  std::string result;  // what ADD answered, JSON; empty until ready
  std::string pod_name;
  std::string pod_namespace;
  AttachmentState state = AttachmentState::adding;
  UnixMillis created = 0;
  // The plugin's environment, a JSON list of NAME=value, for a delegated IPAM's DEL; else empty.
  std::string environment;
};

enum class LeaseSource : uint8_t {
  builtin = 1,    // weir's own IPAM
  delegated = 2,  // another IPAM plugin; kept here for the dataplane's sake only
};

// An address that is taken, or rests after its release. An address is in the store at
// most once, whatever its network: one dataplane routes them all.
struct Lease {
  IpAddress address;
  std::string network;
  uint64_t attachment = 0;  // 0: released, resting
  uint8_t length = 0;       // prefix length of its subnet
  IpAddress gateway;        // none: it has no gateway
  LeaseSource source = LeaseSource::builtin;
  uint32_t position = 0;  // among the attachment's addresses, as ADD reports them
  UnixMillis reserved_at = 0;
  UnixMillis released_at = 0;  // 0: taken
};

// A route given by the operator.
struct StoredRoute {
  IpPrefix prefix;
  api::RouteKind kind = api::RouteKind::none;
  uint64_t port_key = 0;  // kind port
  IpAddress gateway;      // kind gateway
  UnixMillis created = 0;
};

// A Service or an EndpointSlice given by the operator, or a pod's registration.
struct StoredObject {
  std::string kind;
  std::string space;  // Kubernetes' namespace
  std::string name;
  std::string service;   // that it is or belongs to
  std::string document;  // JSON
};

class Store {
 public:
  // Opens `directory`/weir.db; makes both when they are not there. A damaged file is
  // renamed to weir.db.damaged-<time> and an empty store takes its place: recovered().
  // Errors: `busy` another weir-control has it; `permission`, `io` the directory cannot
  // be written; `version` the file is of a newer weir.
  static Result<std::unique_ptr<Store>> open(const std::string& directory);
  ~Store();

  // True: an earlier store was damaged and this one began empty, so what is alive
  // (namespaces, the dataplane's ports) has to be adopted. Stays true over restarts
  // until finish_recovery().
  bool recovered() const noexcept { return !quarantined_.empty(); }
  Status finish_recovery();
  // Where the damaged file went; empty unless recovered().
  const std::string& quarantined() const noexcept { return quarantined_; }
  const std::string& path() const noexcept { return path_; }

  // Groups commands: all of them, or none when it is destroyed uncommitted. Nestable.
  Result<Transaction> begin(Durability durability = Durability::power_cut);
  bool in_transaction() const noexcept;
  // For a thread that writes out, with fdatasync(), what transactions of less durability
  // have committed: it survives a power cut then. The number stays good as long as this.
  int log_fd() const noexcept { return log_.get(); }
  // For caches over the tables: they are stale when this number has changed.
  uint64_t rollbacks() const noexcept;

  // Returns the id: attachment.id itself, or a new one when that is 0 (a given id is
  // for adopting a port that is alive). `created` 0 becomes now.
  Result<uint64_t> add_attachment(const Attachment& attachment);
  // By id; all fields but id and created. `not_found` when it is not there.
  Status update_attachment(const Attachment& attachment);
  // Survives this process, not a power cut, which ends every attachment.
  Status set_attachment_state(uint64_t id, AttachmentState state);
  // Unknown is success. Fails with `exists` while the attachment holds a lease.
  Status delete_attachment(uint64_t id);
  Result<std::optional<Attachment>> find_attachment(uint64_t id);
  Result<std::optional<Attachment>> find_attachment(const std::string& network,
                                                    const std::string& container_id,
                                                    const std::string& ifname);
  // By id.
  Result<std::vector<Attachment>> attachments();
  // Attachments but the node's own, whatever their state.
  Result<uint64_t> count_pods();

  // Leases are changed through Ipam (control/ipam/ipam.h), which mirrors them in memory.
  Status put_lease(const Lease& lease);  // replaces a resting one; `exists` when it is taken
  Status rest_lease(const IpAddress& address, UnixMillis released_at);
  Status delete_lease(const IpAddress& address);
  Result<std::vector<Lease>> leases();                        // resting ones included
  Result<std::vector<Lease>> leases_of(uint64_t attachment);  // by position

  // Last address reserved from a pool of a network.
  struct Cursor {
    std::string network;
    std::string pool;
    IpAddress last;
  };
  Status set_cursor(const Cursor& cursor);
  Result<std::vector<Cursor>> cursors();

  // Replaces the route of the same prefix.
  Status set_route(const StoredRoute& route);
  Status delete_route(const IpPrefix& prefix);  // unknown is success
  Result<std::vector<StoredRoute>> routes();

  // Replaces the one of the same kind, namespace and name.
  Status put_object(const StoredObject& object);
  Status delete_object(const std::string& kind, const std::string& space, const std::string& name);
  // The Service and its EndpointSlices, registrations left alone. Returns how many there were.
  Result<size_t> delete_service(const std::string& space, const std::string& service);
  Result<std::vector<StoredObject>> objects();

  // /proc/sys/kernel/random/boot_id as of the last run; empty at first.
  Result<std::string> boot_id();
  Status set_boot_id(const std::string& boot_id);
  // Made once with the store.
  Result<std::string> node_uuid();
  // For a replay to the dataplane; grows with each call, also over restarts and recovery.
  Result<uint64_t> next_generation();

 private:
  Store(std::string path, std::unique_ptr<Database> database);
  static Result<std::unique_ptr<Store>> open_file(const std::string& path,
                                                  const std::string& quarantined,
                                                  std::string& damage);
  Result<std::string> meta(const std::string& key);  // empty: not set
  Status set_meta(const std::string& key, const std::string& value);
  Status open_log();
  // Fills in what a new store needs; `quarantined` names the damaged file it replaces.
  Status prepare(const std::string& quarantined);
  // Decodes every row once: a row that cannot be read is damage too.
  Status read_all();

  std::string path_;
  std::string quarantined_;
  std::unique_ptr<Database> database_;
  api::Fd log_;  // SQLite's write-ahead log
};

}  // namespace weir::control
