#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "bench/memif/device.h"
#include "bench/memif/pods.h"
#include "dataplane/ports/memif/port.h"
#include "dataplane/runtime/port_registry.h"
#include "dataplane/runtime/worker.h"

namespace weir::bench {

namespace {

using namespace dataplane;

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "forward_cost: %s\n", result.error().text.c_str());
  std::exit(1);
}

class WeirDevice final : public Device {
 public:
  explicit WeirDevice(const DeviceOptions& options) {
    const SharedTables tables{registry_.slots(), &fib4_, &fib6_, &adjacencies_};
    worker_ = must(Worker::make({.hugepages = true}, tables, rcu_));
    std::array<Worker*, 1> workers{worker_.get()};
    worker_->meet(workers);
    registry_.use(workers);
    for (unsigned i = 0; i < options.pods; ++i) add_pod(options, i);
    add_routes(options.routes);
    rcu_.online(0);
  }
  ~WeirDevice() override {
    rcu_.offline(0);
    registry_.clear();
    while (rcu_.reclaim() > 0) continue;
  }

  void round() noexcept override {
    worker_->sweep();
    rcu_.quiescent(0);
  }
  void pump() override {
    loop_->run_once(std::chrono::milliseconds(0));
    rcu_.quiescent(0);
    rcu_.reclaim();
  }
  std::map<std::string, double> costs() const override {
    api::WorkerState state;
    worker_->state(state);
    std::map<std::string, double> costs;
    for (uint8_t i = 0; i < state.stage_count; ++i) {
      const api::StageState& stage = state.stages[i];
      if (stage.packets == 0) continue;
      costs[stage.name.data()] = static_cast<double>(stage.cycles) / static_cast<double>(stage.packets);
    }
    return costs;
  }

 private:
  void add_pod(const DeviceOptions& options, unsigned pod) {
    api::PortConfig config;
    config.key = pod + 1;
    config.kind = api::PortKind::memif;
    config.mtu = options.mtu;
    config.mac.bytes = pod_mac(pod);
    config.gateway4 = *parse_address("10.1.0.1");
    config.addresses[0] = ip4_address(pod_ip4(pod));
    config.address_count = 1;
    std::snprintf(config.name.data(), config.name.size(), "bench/%u", pod);
    std::snprintf(config.socket_path.data(), config.socket_path.size(), "%s",
                  socket_of(options.directory, pod).c_str());
    config.socket_uid = getuid();
    config.socket_gid = getgid();
    config.memif_log2_ring = options.log2_ring;
    must(registry_.set(config, {}, 0));
  }

  // All lead to pod 1: 20.0.0.0/8, and `count` random longer prefixes inside it.
  void add_routes(uint32_t count) {
    const Adjacency to_pod{.kind = AdjacencyKind::port, .port = 1, .mac = {pod_mac(1)}};
    const uint32_t hop = must(adjacencies_.allocate(to_pod));
    must_set(0x14000000, 8, hop);
    std::mt19937 random(2);
    for (uint32_t i = 0; i < count; ++i) {
      must_set(0x14000000 | (random() & 0x00ffffff), static_cast<uint8_t>(17 + random() % 16), hop);
    }
  }
  void must_set(uint32_t address, uint8_t length, uint32_t hop) {
    Fib4::Key key;
    const uint32_t wire = __builtin_bswap32(address);
    std::memcpy(key.data(), &wire, sizeof wire);
    if (!fib4_.set(key, length, hop)) std::abort();
    rcu_.reclaim();
  }

  std::unique_ptr<EventLoop> loop_ = must(EventLoop::create());
  Rcu rcu_{1};
  std::unique_ptr<memif::MemifService> service_ = must(memif::MemifService::create(*loop_, rcu_));
  Fib4 fib4_{rcu_};
  Fib6 fib6_{rcu_};
  Adjacencies adjacencies_{rcu_};
  RouteTable routes_{fib4_, fib6_, adjacencies_};
  std::unique_ptr<Worker> worker_;
  PortRegistry registry_{rcu_, routes_,
                         [this](const api::PortConfig& config, api::Fd, Worker& worker) -> Result<std::unique_ptr<Port>> {
                           auto port = service_->make_port(config, [&worker] { worker.wake(); });
                           if (!port) return port.error();
                           return std::unique_ptr<Port>(*std::move(port));
                         }};
};

}  // namespace

std::unique_ptr<Device> make_weir(const DeviceOptions& options) {
  return std::make_unique<WeirDevice>(options);
}

}  // namespace weir::bench
