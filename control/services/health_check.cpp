#include "control/services/health_check.h"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

namespace weir::control {

namespace {

constexpr unsigned kOk = 200;
constexpr unsigned kUnavailable = 503;

// The API gives each service a port of its own; of two that share one the first by name has it.
std::map<uint16_t, ObjectName> wanted_checks(const ServiceCatalog& catalog) {
  std::map<uint16_t, ObjectName> wanted;
  for (const ObjectName& name : catalog.names()) {
    const auto found = catalog.find(name);
    if (found && found->service->health_check_port != 0 && found->service->skipped.empty()) {
      wanted.emplace(found->service->health_check_port, name);
    }
  }
  return wanted;
}

}  // namespace

HttpResponse health_answer(const ServiceCatalog& catalog, const ObjectName& name) {
  const auto found = catalog.find(name);
  const uint32_t local = found ? found->local_ready : 0;
  const nlohmann::ordered_json body{{"service", {{"namespace", name.space}, {"name", name.name}}},
                                    {"localEndpoints", local}};
  return {local > 0 ? kOk : kUnavailable, body.dump()};
}

// A port that is taken keeps its entry, lest each change of services reports it again.
void HealthChecks::open(uint16_t port, const ObjectName& service) {
  const auto answer = [this, service](const HttpRequest&) {
    return health_answer(catalog_, service);
  };
  auto server = HttpServer::listen_everywhere(loop_, port, answer);
  Check& check = checks_[port];
  check = {service, nullptr};
  if (server) {
    check.server = *std::move(server);
  } else {
    spdlog::warn("services: the health check of {}: {}", to_string(service), server.error().text);
  }
}

void HealthChecks::update() {
  const auto wanted = wanted_checks(catalog_);
  std::erase_if(checks_, [&](const auto& check) {
    const auto still = wanted.find(check.first);
    return still == wanted.end() || still->second != check.second.service;
  });
  for (const auto& [port, service] : wanted) {
    if (!checks_.contains(port)) open(port, service);
  }
}

}  // namespace weir::control
