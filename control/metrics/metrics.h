// weir_* for Prometheus: what the store and the dataplane say at the time of a scrape.
#pragma once

#include <prometheus/collectable.h>

#include <memory>
#include <string>

#include "control/controller.h"

namespace prometheus {
class Exposer;
}

namespace weir::control {

class Metrics {
 public:
  // Serves http://`address`/metrics; no address, nothing served. The controller outlives it.
  static Result<std::unique_ptr<Metrics>> start(const std::string& address, asio::io_context& loop,
                                                Controller& controller);
  ~Metrics();

 private:
  Metrics();

  std::shared_ptr<prometheus::Collectable> collector_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace weir::control
