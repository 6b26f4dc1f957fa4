// The directory in which the host-local plugin keeps the addresses of one network:
//   <address>            "<container id>\r\n<ifname>"
//   last_reserved_ip.N   last address handed out of range set N
//   lock                 held with flock() by whoever reads and changes the rest
// weir takes part in it as host-local itself would, so that both may serve one network
// during a migration, in either direction.
// Source: containernetworking/plugins 1.1.1, plugins/ipam/host-local/backend/disk.
//
// Thread safety: none; one thread at a time. Blocks for as long as open() says.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "control/ipam/ipam.h"
#include "dataplane/api/codec.h"

namespace weir::control {

class HostLocalDir {
 public:
  enum class Missing { make, fail };
  // Waits for the lock and holds it as long as the object lives. Errors: not_found (with
  // Missing::fail), busy (the lock is held all the time), io, permission.
  static Result<HostLocalDir> open(const std::string& directory, Missing missing,
                                   std::chrono::milliseconds patience = std::chrono::seconds(5));

  struct Entry {
    IpAddress address;
    std::string container_id;
    std::string ifname;  // empty in entries of old versions
    UnixMillis since = 0;
  };
  // Everybody's, in no order. Without the lock: what is there this moment.
  Result<std::vector<Entry>> entries() const;
  static Result<std::vector<Entry>> list(const std::string& directory);

  // What an allocation out of `sets` sets must know.
  Result<Elsewhere> elsewhere(size_t sets) const;

  // Writes an attachment's leases and the sets' last addresses. `exists` when an entry is
  // there; then nothing of these stays.
  Status reserve(const std::vector<Lease>& leases, const std::string& container_id,
                 const std::string& ifname) const;
  // Removes the attachment's entries. None is success.
  Status release(const std::string& container_id, const std::string& ifname) const;

 private:
  HostLocalDir(std::string directory, api::Fd lock)
      : directory_(std::move(directory)), lock_(std::move(lock)) {}
  Status write_entry(const IpAddress& address, const std::string& text) const;
  std::string last_file(size_t set) const;

  std::string directory_;
  api::Fd lock_;
};

}  // namespace weir::control
