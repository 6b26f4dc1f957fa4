// What forwards between two memif ports, one round at a time on the caller's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace weir::bench {

// For the pods' sockets: a new directory, the caller's to remove.
std::string make_directory();
// Where pod `i` connects to.
std::string socket_of(const std::string& directory, unsigned pod);

class Device {
 public:
  virtual ~Device() = default;
  // Moves at most one vector a port.
  virtual void round() noexcept = 0;
  // What the device's control side needs done while clients connect.
  virtual void pump() {}
  // Cycles per packet of its parts, as it counts them itself.
  virtual std::map<std::string, double> costs() const { return {}; }
};

struct DeviceOptions {
  std::string directory;  // for the pods' sockets
  unsigned pods = 2;
  uint32_t routes = 0;    // besides the pods' own
  uint16_t mtu = 1500;
  uint8_t log2_ring = 10;
};

// weir's worker, with all its stages.
std::unique_ptr<Device> make_weir(const DeviceOptions& options);
// DPDK's memif driver and testpmd's io loop: burst in at one port, out at the other.
std::unique_ptr<Device> make_io(const DeviceOptions& options);

}  // namespace weir::bench
