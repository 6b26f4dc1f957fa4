#include <rte_dev.h>
#include <rte_ethdev.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "bench/memif/device.h"

namespace weir::bench {

namespace {

constexpr uint16_t kBurst = 64;

void must(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "forward_cost: DPDK's memif driver: %s\n", what);
  std::exit(1);
}

class IoDevice final : public Device {
 public:
  explicit IoDevice(const DeviceOptions& options) {
    pool_ = rte_pktmbuf_pool_create("forward_cost", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    must(pool_ != nullptr, "no memory for buffers");
    for (unsigned i = 0; i < ports_.size(); ++i) open(options, i);
  }
  ~IoDevice() override {
    for (const uint16_t port : ports_) {
      rte_eth_dev_stop(port);
      rte_eth_dev_close(port);
    }
    rte_eal_hotplug_remove("vdev", "net_memif0");
    rte_eal_hotplug_remove("vdev", "net_memif1");
    rte_mempool_free(pool_);
  }

  void round() noexcept override {
    std::array<rte_mbuf*, kBurst> burst;
    const uint16_t got = rte_eth_rx_burst(ports_[0], 0, burst.data(), kBurst);
    if (got == 0) return;
    const uint16_t sent = rte_eth_tx_burst(ports_[1], 0, burst.data(), got);
    if (sent < got) rte_pktmbuf_free_bulk(burst.data() + sent, got - sent);
  }

 private:
  void open(const DeviceOptions& options, unsigned index) {
    const std::string name = "net_memif" + std::to_string(index);
    const std::string arguments = "role=server,socket-abstract=no,bsize=2048,rsize=" +
                                  std::to_string(options.log2_ring) +
                                  ",socket=" + socket_of(options.directory, index);
    must(rte_eal_hotplug_add("vdev", name.c_str(), arguments.c_str()) == 0, "cannot make a port");
    must(rte_eth_dev_get_port_by_name(name.c_str(), &ports_[index]) == 0, "the port has no number");
    const rte_eth_conf config{};
    const auto slots = static_cast<uint16_t>(1U << options.log2_ring);
    must(rte_eth_dev_configure(ports_[index], 1, 1, &config) == 0, "cannot configure a port");
    must(rte_eth_rx_queue_setup(ports_[index], 0, slots, 0, nullptr, pool_) == 0, "no receive queue");
    must(rte_eth_tx_queue_setup(ports_[index], 0, slots, 0, nullptr) == 0, "no transmit queue");
    must(rte_eth_dev_start(ports_[index]) == 0, "cannot start a port");
  }

  rte_mempool* pool_ = nullptr;
  std::array<uint16_t, 2> ports_{};
};

}  // namespace

std::unique_ptr<Device> make_io(const DeviceOptions& options) { return std::make_unique<IoDevice>(options); }

}  // namespace weir::bench
