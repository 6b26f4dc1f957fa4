// Services as the dataplane should have them, and how they get there.
#pragma once

#include <map>
#include <vector>

#include "dataplane/api/client.h"

namespace weir::control {

struct FrontendKeyLess {
  bool operator()(const api::FrontendKey& a, const api::FrontendKey& b) const noexcept;
};

using Backends = std::vector<api::Backend>;  // without group and flags
using Prefixes = std::vector<IpPrefix>;

// What to set and what to delete. In a whole plan nothing is deleted: the replay sweeps.
struct ServicePlan {
  api::ServiceSettings settings;
  bool has_settings = false;
  std::map<uint64_t, Prefixes> sets;
  std::map<uint64_t, Backends> groups;
  std::map<api::FrontendKey, api::Frontend, FrontendKeyLess> frontends;
  std::vector<api::FrontendKey> gone_frontends;
  std::vector<uint64_t> gone_groups;
  std::vector<uint64_t> gone_sets;

  bool empty() const noexcept;
};

struct ServiceReport {
  size_t frontends = 0;  // set
  size_t groups = 0;
  std::vector<Error> failed;  // each says what was refused
};

// What a frontend refers to is sent before it, and deleted after it. What is refused does
// not stop the rest; an error here means that the connection is of no use any more.
Result<ServiceReport> send_services(api::Client& client, const ServicePlan& plan);

}  // namespace weir::control
