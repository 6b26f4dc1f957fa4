// Virtqueues of a driver that writes anything: chains of any descriptors, and any bytes over
// rings and tables. The worker never takes a byte from outside the memory, a packet's length
// and pieces agree, and a fault is final.
//
// Input: RingOptions, then steps until it ends.
#include "tests/fuzz/vhost_link.h"
#include "tests/vhost/driver.h"

namespace weir::fuzz {
namespace {

using namespace weir::dataplane;
using namespace weir::dataplane::vhost;
using vhost::test::Buffer;
using vhost::test::DriverRing;
using vhost::test::SharedMemory;

constexpr uint64_t kTransmit = 0x8000;  // of the transmit ring; the receive ring is at 0
constexpr uint64_t kWritten = 0x20000;  // steps write below: rings and indirect tables

#pragma pack(push, 1)
struct RingOptions {
  uint8_t flags;  // 1: packed; 2: mergeable buffers; 4: offload; 8: a legacy header
  uint8_t size;
};
struct RawBuffer {
  uint32_t address;
  uint32_t length;
  uint16_t flags;
};
#pragma pack(pop)

class Session {
 public:
  Session(SharedMemory& memory, Input& input)
      : memory_(memory), options_(input.take<RingOptions>()), mapped_(memory.map()) {
    memory_.clear();
    receive_ = make_ring(packed(), memory_, 0, size());
    transmit_ = make_ring(packed(), memory_, kTransmit, size());
    const PairPlace pair{receive_->place(*mapped_), transmit_->place(*mapped_)};
    link_ = Link::make({.memory = mapped_, .features = features(), .pairs = std::span(&pair, 1)});
  }

  void run(Input& input) {
    while (!input.empty()) step(input);
    link_->finish();
    (void)link_->base(0);
    (void)link_->base(1);
  }

 private:
  bool packed() const { return (options_.flags & 1) != 0; }
  uint16_t size() const {
    const auto odd = static_cast<uint16_t>(1 + options_.size % 64);
    return packed() ? odd : std::bit_floor(odd);
  }
  uint64_t features() const {
    uint64_t features = (options_.flags & 8) != 0 && !packed() ? 0 : kVersion1;
    if (packed()) features |= kPackedRing;
    if ((options_.flags & 2) != 0) features |= kNetMergeable;
    if ((options_.flags & 4) != 0) features |= kGuestOffload;
    return features;
  }

  void step(Input& input) {
    switch (input.below(4)) {
      case 0: return offer(input, *transmit_);
      case 1: return offer(input, *receive_);
      case 2: return write(input);
      default: return work();
    }
  }
  void offer(Input& input, DriverRing& ring) {
    const auto id = static_cast<uint16_t>(input.below(size()));
    std::vector<Buffer> chain(1 + input.below(std::min<size_t>(size(), 34)));
    for (Buffer& one : chain) {
      const auto raw = input.take<RawBuffer>();
      one = {raw.address, raw.length, raw.flags};
    }
    ring.offer(chain, id);
  }
  void write(Input& input) {
    const uint64_t at = input.word() % kWritten;
    const auto data = input.bytes(1 + input.below(64));
    std::memcpy(memory_.at(at), data.data(), data.size());
  }
  void work() {
    const std::span<std::byte> ours = mapped_->from(0);
    user_.work(*link_, [ours](const Segment& piece) {
      WEIR_INVARIANT(piece.data >= ours.data() && piece.length <= ours.size() &&
                     piece.data <= ours.data() + (ours.size() - piece.length));
    });
  }

  SharedMemory& memory_;
  RingOptions options_;
  std::shared_ptr<vhost::Memory> mapped_;
  std::unique_ptr<DriverRing> receive_;
  std::unique_ptr<DriverRing> transmit_;
  std::unique_ptr<Link> link_;
  LinkUser user_;
};

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::fuzz;
  static SharedMemory memory;
  Input input(data, size);
  Session(memory, input).run(input);
  return 0;
}
