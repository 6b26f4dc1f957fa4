// What the parts of weir-control share. All of it belongs to the loop's thread.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>

#include "config/config.h"
#include "control/dataplane/session.h"
#include "control/ipam/ipam.h"
#include "control/loop/blocking_pool.h"
#include "control/loop/key_lock.h"
#include "control/netns/host_link.h"
#include "control/netns/namespace.h"
#include "control/routes/kernel_routes.h"
#include "control/services/catalog.h"
#include "control/services/service_sync.h"
#include "control/store/store.h"

namespace weir::control {

struct Paths {
  std::string run_dir;
  std::string state_dir;

  std::string cni_socket() const { return run_dir + "/cni.sock"; }
  std::string dataplane_socket() const { return run_dir + "/dataplane.sock"; }
  std::string pods_dir() const { return run_dir + "/pods"; }
  std::string records_dir() const { return run_dir + "/attachments"; }
  std::string spool_dir() const { return state_dir + "/spool"; }
};

// The node's own port.
struct HostPort {
  uint64_t key = 0;  // 0: not made yet
  HostLink link;
};

struct Controller {
  const config::Config& config;
  const Paths& paths;
  Store& store;
  Ipam& ipam;
  BlockingPool& pool;
  BlockingPool& delegates;  // for other people's programs: one that hangs delays its kind only
  KeyLocks& locks;
  DataplaneSession& dataplane;
  ServiceCatalog& services;
  ServiceSync& service_sync;
  KernelRoutes& kernel_routes;
  HostPort host;
  // Ports that an ADD in flight has set already: a replay must name them too.
  std::set<uint64_t> live;
  std::map<std::string, std::string> shared;  // network -> host-local directory, as last seen
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

}  // namespace weir::control
