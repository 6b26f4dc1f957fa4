#include "control/metrics/metrics.h"

#include <prometheus/exposer.h>

#include <algorithm>
#include <exception>
#include <future>

#include "control/metrics/families.h"

namespace weir::control {

namespace {

constexpr std::chrono::seconds kPatience(1);  // of one scrape, for each side

Result<DataplaneNumbers> ask_dataplane(api::Client& client) {
  const auto status = client.status();
  if (!status) return status.error();
  auto ports = client.port_list();
  if (!ports) return ports.error();
  auto workers = client.worker_list();
  if (!workers) return workers.error();
  auto drops = client.drop_list();
  if (!drops) return drops.error();
  const auto connections = client.connection_stats();
  if (!connections) return connections.error();
  return DataplaneNumbers{*status, *std::move(ports), *std::move(workers), *std::move(drops),
                          *connections};
}

// On the loop's thread.
ControlNumbers count_store(Controller& controller) {
  ControlNumbers numbers;
  const auto rows = controller.store.attachments();
  if (rows) {
    numbers.attachments = static_cast<uint64_t>(std::ranges::count_if(
        *rows, [](const Attachment& row) { return row.container_id != kHostContainerId; }));
  }
  for (const RangeSet& set : default_ranges(controller.config.network.pod_cidrs)) {
    const auto usage = controller.ipam.usage(set);
    if (usage) numbers.pools.push_back({to_string(set), usage->size, usage->taken});
  }
  return numbers;
}

// Called on the HTTP server's threads.
class Collector : public prometheus::Collectable {
 public:
  Collector(asio::io_context& loop, Controller& controller)
      : loop_(loop), controller_(controller) {}

  Families Collect() const override {
    auto dataplane =
        controller_.dataplane.call_from_thread<DataplaneNumbers>(ask_dataplane, kPatience);
    std::optional<DataplaneNumbers> numbers;
    if (dataplane) numbers = *std::move(dataplane);
    return make_families(numbers, ask_control());
  }

 private:
  std::optional<ControlNumbers> ask_control() const {
    const auto promise = std::make_shared<std::promise<ControlNumbers>>();
    std::future<ControlNumbers> answer = promise->get_future();
    asio::post(loop_, [&controller = controller_, promise] {
      promise->set_value(count_store(controller));
    });
    if (answer.wait_for(kPatience) != std::future_status::ready) return std::nullopt;
    return answer.get();
  }

  asio::io_context& loop_;
  Controller& controller_;
};

}  // namespace

Metrics::Metrics() = default;
Metrics::~Metrics() = default;

Result<std::unique_ptr<Metrics>> Metrics::start(const std::string& address, asio::io_context& loop,
                                                Controller& controller) {
  std::unique_ptr<Metrics> metrics(new Metrics);
  if (address.empty()) return metrics;
  try {
    metrics->exposer_ = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception& failure) {
    return {ErrorCode::busy,
            "cannot serve metrics on " + address +
                ": free that address, or set control.metrics to another or to \"\" (" +
                failure.what() + ")"};
  }
  metrics->collector_ = std::make_shared<Collector>(loop, controller);
  metrics->exposer_->RegisterCollectable(metrics->collector_);
  return metrics;
}

}  // namespace weir::control
