// Frames that are nearly good: rows of the packet tables, damaged. Seeded by
// WEIR_TEST_SEED, so that a failure can be run again.
#pragma once

#include <cstdlib>
#include <random>

#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {

inline uint32_t seed() {
  const char* text = std::getenv("WEIR_TEST_SEED");
  return text != nullptr ? static_cast<uint32_t>(std::strtoul(text, nullptr, 0)) : 20240607;
}

class HostileFrames {
 public:
  HostileFrames() : random_(seed()) {
    for (const Row& row : all_rows()) valid_.push_back(row.frame);
  }

  Bytes frame() {
    if (random_() % 4 == 0) return noise();
    Bytes frame = valid_[random_() % valid_.size()];
    for (size_t n = random_() % 6; n > 0 && !frame.empty(); --n) mutate(frame);
    if (random_() % 8 != 0) repair(frame);
    return frame;
  }

  Offload offload() {
    Offload offload;
    if (random_() % 4 != 0) return offload;
    offload.partial_checksum = random_() % 2 == 0;
    offload.gso = static_cast<Gso>(random_() % 3);
    offload.segment_size = static_cast<uint16_t>(random_() % 3 == 0 ? random_() : random_() % 1500);
    offload.checksum_start = static_cast<uint16_t>(random_() % 2 == 0 ? 34 : random_());
    offload.checksum_offset = static_cast<uint16_t>(random_() % 2 == 0 ? 16 : random_());
    return offload;
  }

  uint16_t port() { return static_cast<uint16_t>(1 + random_() % 5); }

 private:
  Bytes noise() {
    Bytes frame(random_() % 300);
    for (uint8_t& byte : frame) byte = static_cast<uint8_t>(random_());
    if (frame.size() > 14) {
      const MacAddress to = kGatewayMac;
      std::copy(to.bytes.begin(), to.bytes.end(), frame.begin());
      static constexpr std::array<uint16_t, 4> kTypes{kEtherIp4, kEtherIp6, kEtherArp, kEtherVlan};
      const uint16_t type = kTypes[random_() % kTypes.size()];
      frame[12] = static_cast<uint8_t>(type >> 8);
      frame[13] = static_cast<uint8_t>(type);
    }
    return frame;
  }

  void mutate(Bytes& frame) {
    switch (random_() % 4) {
      case 0: frame.resize(random_() % (frame.size() + 40)); break;
      case 1:
        frame.insert(frame.begin() + static_cast<ptrdiff_t>(random_() % frame.size()),
                     static_cast<uint8_t>(random_()));
        break;
      default: {
        // Most harm is done in the headers.
        const size_t range = std::min<size_t>(frame.size(), random_() % 2 == 0 ? 80 : SIZE_MAX);
        frame[random_() % range] =
            static_cast<uint8_t>(random_() % 3 == 0 ? 0xff * (random_() % 2) : random_());
      }
    }
  }

  // A right IPv4 header checksum, so that what lies behind it is reached.
  static void repair(Bytes& frame) {
    if (frame.size() < 34 || frame[12] != 8 || frame[13] != 0) return;
    const size_t header = std::min<size_t>((frame[14] & 0x0fU) * 4U, frame.size() - 14);
    if (header < 20) return;
    frame[24] = frame[25] = 0;
    const Bytes bytes(frame.begin() + 14, frame.begin() + static_cast<ptrdiff_t>(14 + header));
    const uint16_t sum = naive_checksum(bytes);
    frame[24] = static_cast<uint8_t>(sum >> 8);
    frame[25] = static_cast<uint8_t>(sum);
  }

  std::mt19937 random_;
  std::vector<Bytes> valid_;
};

}  // namespace weir::dataplane::test
