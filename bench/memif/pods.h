// Two pods on raw memif rings: one sends, the other takes and gives back. They move
// shared memory the way a busy client does, without system calls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/memif/raw_client.h"

namespace weir::bench {

namespace memif = dataplane::memif;

// Pod `i` as its lease says: 10.1.0.0/16 and fd01::/64 from 2 on.
uint32_t pod_ip4(unsigned pod);  // host order
std::array<uint8_t, 6> pod_mac(unsigned pod);

struct Load {
  uint16_t frame = 60;      // bytes, without the checksum that Ethernet appends
  uint16_t batch = 64;      // frames offered a round
  uint32_t destinations = 1;  // 1: the receiving pod; more: random addresses behind it
  bool ip6 = false;
  bool cold = false;  // shared lines are flushed before the device runs
};

class Pods {
 public:
  Pods(const std::string& directory, const std::function<void()>& pump, const Load& load, uint8_t log2_ring);

  // The sending pod writes a batch of headers, as far as its ring has room, and moves its head.
  void send();
  // The receiving pod reads every header it got and offers the buffers again. Returns frames.
  unsigned receive();

 private:
  void prepare();
  void touch(std::byte* frame);
  void flush_lines(const void* at, size_t bytes) const;

  Load load_;
  memif::test::RawClient sender_;
  memif::test::RawClient receiver_;
  std::vector<uint32_t> targets_;  // host order
  uint16_t sent_ = 0;
  uint16_t taken_ = 0;
  uint64_t number_ = 0;
};

}  // namespace weir::bench
