#include "dataplane/ports/uplink/device.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>

#include "dataplane/core/packet.h"

namespace weir::dataplane::uplink {

namespace {

constexpr uint16_t kDescriptors = 1024;
constexpr uint32_t kPoolCache = 256;
constexpr uint32_t kLargestL2 = 18;       // Ethernet header with a tag
constexpr uint32_t kSmallestRoom = 2048;  // bytes of a frame in one buffer
// Spread over IP addresses and ports where the device can.
constexpr uint64_t kRssFields = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;

// The device's own name: what is before the first comma.
std::string device_name(const std::string& devargs) { return devargs.substr(0, devargs.find(',')); }

// net_af_packet wants buffers of its ring's frame size, whatever the MTU; 0: not given.
uint32_t ring_frame(const std::string& devargs) {
  constexpr std::string_view kArgument = ",framesz=";
  const size_t at = devargs.find(kArgument);
  uint32_t size = 0;
  if (at != std::string::npos) {
    std::from_chars(devargs.data() + at + kArgument.size(), devargs.data() + devargs.size(), size);
  }
  return std::min<uint32_t>(size, UINT16_MAX);
}

}  // namespace

void Device::FreePool::operator()(rte_mempool* pool) const noexcept { rte_mempool_free(pool); }

Status Device::fail(const std::string& what, int error) const {
  return {ErrorCode::io, "uplink " + name_ + ": " + what + " (" + rte_strerror(-error) +
                             "); look at its devargs, and at the device with dpdk-testpmd"};
}

Result<std::unique_ptr<Device>> Device::open(const api::UplinkConfig& config, uint32_t workers) {
  std::unique_ptr<Device> device(new Device);
  Status status = device->probe(api::get_text(config.devargs));
  if (status) status = device->configure(workers, config.queues);
  if (status) status = device->choose_mtu(config.mtu);
  if (status) status = device->make_pool();
  if (status) status = device->set_up_queues();
  if (status) status = device->start();
  if (!status) return status.error();
  return device;
}

Device::~Device() {
  if (!probed_) return;
  rte_eth_dev_info info{};
  rte_eth_dev_info_get(id_, &info);
  if (started_) rte_eth_dev_stop(id_);
  rte_eth_dev_close(id_);
  if (info.device != nullptr) rte_dev_remove(info.device);
}

Status Device::probe(const std::string& devargs) {
  devargs_ = devargs;
  name_ = device_name(devargs);
  const int probed = rte_dev_probe(devargs.c_str());
  if (probed != 0 && probed != -EEXIST) {
    return {ErrorCode::not_found, "uplink " + name_ + ": no driver takes the devargs \"" + devargs + "\" (" +
                                      rte_strerror(-probed) +
                                      "); see that the interface or PCI device is there and not in use"};
  }
  if (rte_eth_dev_get_port_by_name(name_.c_str(), &id_) != 0) {
    return {ErrorCode::not_found, "uplink " + name_ + ": the driver made no Ethernet device of that name"};
  }
  probed_ = true;
  rte_eth_dev_info info{};
  if (const int error = rte_eth_dev_info_get(id_, &info); error != 0) return fail("tells nothing of itself", error);
  kernel_index_ = info.if_index;
  kernel_.reset(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  rte_ether_addr mac{};
  if (const int error = rte_eth_macaddr_get(id_, &mac); error != 0) return fail("has no MAC address", error);
  std::copy_n(mac.addr_bytes, mac_.bytes.size(), mac_.bytes.begin());
  return {};
}

Status Device::configure(uint32_t workers, uint16_t most_queues) {
  rte_eth_dev_info info{};
  rte_eth_dev_info_get(id_, &info);
  const uint32_t wanted = most_queues != 0 ? std::min<uint32_t>(most_queues, workers) : workers;
  const auto at_most = [wanted](uint16_t there) {
    return static_cast<uint16_t>(std::clamp<uint32_t>(wanted, 1, std::max<uint16_t>(there, 1)));
  };
  const uint64_t fields = info.flow_type_rss_offloads & kRssFields;
  // The kernel spreads flows over all sockets that such a device was made with.
  if (kernel_index_ != 0 && info.max_rx_queues > wanted) {
    return {ErrorCode::invalid_argument, "uplink " + name_ + ": its devargs make " + std::to_string(info.max_rx_queues) +
                                             " queues, of which workers would poll " + std::to_string(wanted) +
                                             "; make as many as there are workers"};
  }
  const bool spreads = fields != 0 || info.max_rx_queues <= wanted;
  rx_queues_ = spreads ? at_most(info.max_rx_queues) : uint16_t{1};
  tx_queues_ = at_most(info.max_tx_queues);
  rte_eth_conf conf{};
  if (rx_queues_ > 1 && fields != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = fields;
  }
  const int error = rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &conf);
  return error == 0 ? Status() : fail("cannot be configured", error);
}

// A kernel interface's MTU is its owner's business: it is read, never set.
Status Device::choose_mtu(uint16_t wanted) {
  ifreq answer{};
  if (ask_kernel(SIOCGIFMTU, answer)) {
    mtu_ = static_cast<uint16_t>(std::min(answer.ifr_mtu, 65535));
  } else {
    if (wanted != 0) {
      const int error = rte_eth_dev_set_mtu(id_, wanted);
      if (error != 0 && error != -ENOTSUP) return fail("cannot have an MTU of " + std::to_string(wanted), error);
    }
    rte_eth_dev_get_mtu(id_, &mtu_);
  }
  if (wanted > mtu_) {
    return {ErrorCode::invalid_argument, "uplink " + name_ + ": its device has an MTU of " + std::to_string(mtu_) +
                                             ", less than the " + std::to_string(wanted) +
                                             " that are asked for; raise the device's or take mtu out"};
  }
  if (wanted != 0) mtu_ = wanted;
  return {};
}

// Frames are in one buffer, so that sending is one copy.
Status Device::make_pool() {
  uint16_t tx_descriptors = kDescriptors;
  descriptors_ = kDescriptors;
  if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &descriptors_, &tx_descriptors); error != 0) {
    return fail("has no descriptors", error);
  }
  descriptors_ = std::min(descriptors_, tx_descriptors);
  const uint32_t room = std::max({std::bit_ceil(mtu_ + kLargestL2), kSmallestRoom, ring_frame(devargs_)});
  const uint32_t data_room = std::min<uint32_t>(room + RTE_PKTMBUF_HEADROOM, UINT16_MAX);
  const uint32_t queues = rx_queues_ + tx_queues_;
  const uint32_t buffers = queues * (descriptors_ + kPoolCache + 2U * kVectorSize);
  pool_.reset(rte_pktmbuf_pool_create(("uplink-" + std::to_string(id_)).c_str(), buffers, kPoolCache, 0,
                                      static_cast<uint16_t>(data_room), rte_eth_dev_socket_id(id_)));
  if (pool_ != nullptr) return {};
  return {ErrorCode::no_memory, "uplink " + name_ + ": no memory for " + std::to_string(buffers) + " buffers of " +
                                    std::to_string(data_room) + " bytes; raise dataplane.memory_mib"};
}

Status Device::set_up_queues() {
  const unsigned socket = static_cast<unsigned>(rte_eth_dev_socket_id(id_));
  for (uint16_t queue = 0; queue < rx_queues_; ++queue) {
    const int error = rte_eth_rx_queue_setup(id_, queue, descriptors_, socket, nullptr, pool_.get());
    if (error != 0) return fail("has no receive queue " + std::to_string(queue) + " for this MTU", error);
  }
  for (uint16_t queue = 0; queue < tx_queues_; ++queue) {
    const int error = rte_eth_tx_queue_setup(id_, queue, descriptors_, socket, nullptr);
    if (error != 0) return fail("has no transmit queue " + std::to_string(queue), error);
  }
  return {};
}

Status Device::start() {
  if (const int error = rte_eth_dev_start(id_); error != 0) return fail("does not start", error);
  started_ = true;
  // Without either, a device passes what is for its own MAC; the port checks every frame anyway.
  // Neighbour discovery comes as multicast.
  rte_eth_promiscuous_disable(id_);
  rte_eth_allmulticast_enable(id_);
  return {};
}

bool Device::ask_kernel(unsigned long request, ifreq& answer) const {
  if (kernel_index_ == 0 || if_indextoname(kernel_index_, answer.ifr_name) == nullptr) return false;
  return ioctl(kernel_.get(), request, &answer) == 0;
}

// Drivers of kernel interfaces (net_af_packet) report a link that is always up.
bool Device::link_up() const {
  if (kernel_index_ != 0) {
    ifreq answer{};
    constexpr int kNeeded = IFF_UP | IFF_RUNNING;
    return ask_kernel(SIOCGIFFLAGS, answer) && (answer.ifr_flags & kNeeded) == kNeeded;
  }
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

void Device::state(api::UplinkState& state) const {
  api::set_text(state.devargs, devargs_);
  rte_eth_dev_info info{};
  if (rte_eth_dev_info_get(id_, &info) == 0) api::set_text(state.driver, info.driver_name);
  rte_eth_link link{};
  const bool known = rte_eth_link_get_nowait(id_, &link) == 0 && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN;
  state.speed_mbps = known ? link.link_speed : 0;
  state.rx_queues = rx_queues_;
  state.tx_queues = tx_queues_;
  rte_eth_stats stats{};
  if (rte_eth_stats_get(id_, &stats) != 0) return;
  state.rx_missed = stats.imissed;
  state.rx_errors = stats.ierrors;
  state.rx_no_buffer = stats.rx_nombuf;
  state.tx_errors = stats.oerrors;
}

}  // namespace weir::dataplane::uplink
