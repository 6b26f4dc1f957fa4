// Endpoints that register themselves over HTTP and stay as long as they keep saying so:
//   PUT    /v1/services/NAMESPACE/NAME/endpoints/ID  {"address", "ports", "ttl_seconds", "weight"}
//   DELETE the same path
//   GET    /v1/services/NAMESPACE/NAME/endpoints
// `ports` maps names of the service's ports to numbers: {"80-tcp": 8080}. An address may be
// registered by its owner alone: the request's peer.
#pragma once

#include <chrono>
#include <map>

#include "cni/error.h"
#include "control/server/http_server.h"
#include "control/services/catalog.h"
#include "control/store/store.h"

namespace weir::control {

struct Registration {
  ObjectName service;
  std::string id;
  IpAddress address;
  std::map<std::string, uint16_t> ports;
  uint16_t weight = 1;
  uint32_t ttl_seconds = 0;

  bool operator==(const Registration&) const = default;
};

// Of a path and a PUT's body. Codes 6 and 7.
cni::Outcome<Registration> parse_registration(const ObjectName& service, const std::string& id,
                                              const std::string& body);

// Registrations are kept in the store, so that a restart of weir-control forgets nobody: each
// then has its whole time again.
// Threads: the control thread.
class Registry {
 public:
  using Clock = std::chrono::steady_clock;

  // `changed` is called after each change of the catalog.
  Registry(Store& store, ServiceCatalog& catalog, std::function<void()> changed)
      : store_(store), catalog_(catalog), changed_(std::move(changed)) {}

  // Of the store's objects: each has all of its time again, as nobody could keep it alive.
  void load(const std::vector<StoredObject>& stored, Clock::time_point now);
  HttpResponse answer(const HttpRequest& request, Clock::time_point now);
  // Removes whom nobody has kept alive; to be called often.
  void expire(Clock::time_point now);

 private:
  struct Entry {
    Registration registration;
    Clock::time_point ends;
  };
  using Key = std::pair<ObjectName, std::string>;  // service and id

  HttpResponse put(const Key& key, const HttpRequest& request, Clock::time_point now);
  HttpResponse remove(const Key& key, const IpAddress& peer);
  HttpResponse list(const ObjectName& service, Clock::time_point now) const;
  Status keep(const Registration& registration);
  void publish(const Registration& registration);
  void forget(const Key& key);

  Store& store_;
  ServiceCatalog& catalog_;
  std::function<void()> changed_;
  std::map<Key, Entry> entries_;
};

}  // namespace weir::control
