// A device of DPDK (ethdev) from its devargs to its end: probed, configured, started.
//
// Thread safety: main thread only, once EAL runs. Workers use the queues through
// UplinkPort, which outlives their use.
#pragma once

#include <net/if.h>

#include <array>
#include <memory>
#include <string>

#include "dataplane/api/codec.h"
#include "dataplane/api/protocol.h"

struct rte_mempool;

namespace weir::dataplane::uplink {

class Device {
 public:
  // `workers`: how many may send. Errors name the device and the remedy: not_found when no
  // driver takes the devargs, invalid_argument for an MTU that it does not have.
  static Result<std::unique_ptr<Device>> open(const api::UplinkConfig& config, uint32_t workers);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  uint16_t id() const noexcept { return id_; }
  rte_mempool* pool() const noexcept { return pool_.get(); }
  uint16_t rx_queues() const noexcept { return rx_queues_; }
  uint16_t tx_queues() const noexcept { return tx_queues_; }
  uint16_t mtu() const noexcept { return mtu_; }
  const MacAddress& mac() const noexcept { return mac_; }
  bool is_kernels() const noexcept { return kernel_index_ != 0; }  // works on a kernel interface
  // Whether the device can send now: its link, for a kernel interface that interface's.
  bool link_up() const;
  void state(api::UplinkState& state) const;

 private:
  struct FreePool {
    void operator()(rte_mempool* pool) const noexcept;
  };
  Device() = default;

  Status probe(const std::string& devargs);
  Status choose_mtu(uint16_t wanted);
  Status make_pool();
  Status configure(uint32_t workers, uint16_t most_queues);
  Status set_up_queues();
  Status start();
  Status fail(const std::string& what, int error) const;
  // SIOCGIF* of the kernel interface below the device; false without one.
  bool ask_kernel(unsigned long request, ifreq& answer) const;

  std::string name_;
  std::string devargs_;
  uint16_t id_ = 0;
  bool probed_ = false;
  bool started_ = false;
  unsigned kernel_index_ = 0;  // of the interface, 0: no kernel interface
  api::Fd kernel_;             // any socket, to ask the kernel
  uint16_t mtu_ = 0;
  uint16_t rx_queues_ = 1;
  uint16_t tx_queues_ = 1;
  uint16_t descriptors_ = 0;   // of each queue
  MacAddress mac_;
  std::unique_ptr<rte_mempool, FreePool> pool_;
};

}  // namespace weir::dataplane::uplink
