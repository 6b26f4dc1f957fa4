// Input for benchmarks of stages, without ports.
#pragma once

#include <array>
#include <cstring>

#include "tests/dataplane/lab.h"

namespace weir::bench {

namespace test = dataplane::test;
using dataplane::kHeadroom;
using dataplane::kHeadSize;
using dataplane::Packet;

// A vector of equal frames that is put back to its received state before each run.
class VectorTraffic {
 public:
  VectorTraffic(test::Lab& lab, const test::Bytes& frame, uint16_t count,
                uint16_t in_port = test::kPodA)
      : lab_(lab), count_(count) {
    for (uint16_t i = 0; i < count; ++i) {
      lab.fill(lab.vector().packets[i], frame);
      lab.vector().packets[i].in_port = in_port;
    }
    std::memcpy(saved_.data(), lab.vector().packets[0].data(), kHeadSize);
    length_ = lab.vector().packets[0].length;
  }

  void receive() {
    for (uint16_t i = 0; i < count_; ++i) {
      Packet& packet = lab_.vector().packets[i];
      packet.head_offset = kHeadroom;
      packet.length = length_;
      std::memcpy(packet.data(), saved_.data(), kHeadSize);
    }
    lab_.vector().start(count_);
  }

 private:
  test::Lab& lab_;
  uint16_t count_;
  uint32_t length_ = 0;
  std::array<std::byte, kHeadSize> saved_{};
};

}  // namespace weir::bench
