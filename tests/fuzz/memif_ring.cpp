// A connected memif client that owns its memory: descriptors, indices and flags of any
// value. The worker takes exactly the frames that the rules allow, writes only into buffers
// that were offered, and keeps to its own indices. (memif_race: the same while the memory
// changes.)
//
// Input: Layout, then steps until it ends. A step is a byte that says what happens and
// its arguments.
#include <optional>

#include "tests/fuzz/ring_model.h"
#include "tests/fuzz/shared_memory.h"

namespace weir::fuzz {
namespace {

using namespace weir::dataplane;
using namespace weir::dataplane::memif;

constexpr size_t kBatch = 32;

#pragma pack(push, 1)
struct Layout {
  uint8_t regions;
  uint8_t receive_rings;
  uint8_t log2_size;
  uint8_t flags;
  uint8_t offset[4];  // of the rings, in 64-byte units
};
#pragma pack(pop)

constexpr uint8_t kScattered = 1;  // Layout::flags: rings lie where the input says

class Session {
 public:
  Session(SharedMemory& shared, Input& input) : layout_(input.take<Layout>()) {
    const size_t regions = 1 + layout_.regions % kRegions;
    memory_ = shared.memory(regions);
    std::vector<Region> mapped = shared.map(regions);
    for (const Region& region : mapped) ours_.emplace_back(region.base(), region.size());
    std::vector<RingPlace> places;
    const size_t rings = 2 + layout_.receive_rings % 3;
    for (size_t i = 0; i < rings; ++i) places.push_back(place(i));
    const RingPlace send = places.back();
    places.pop_back();
    for (const RingPlace& one : places) receive_.push_back({.place = one});
    send_ = {.place = send};
    link_.emplace(std::move(mapped), places, std::span(&send, 1));
  }

  void run(Input& input) {
    while (!input.empty()) step(input);
    receive();
  }

 private:
  uint8_t log2() const { return static_cast<uint8_t>(5 + layout_.log2_size % 3); }

  RingPlace place(size_t ring) const {
    const auto region = static_cast<uint16_t>(ring % memory_.size());
    const uint64_t bytes = ring_bytes(log2());
    uint64_t offset = ring / memory_.size() * ((bytes + 63) / 64 * 64);
    if ((layout_.flags & kScattered) != 0)
      offset = layout_.offset[ring] * uint64_t{64} % ((kRegionSize - bytes) / 64 * 64 + 64);
    return {region, static_cast<uint32_t>(offset), log2()};
  }

  RingModel& ring(size_t index) { return index < receive_.size() ? receive_[index] : send_; }

  void step(Input& input) {
    switch (input.below(9)) {
      case 0: return write_bytes(input);
      case 1: return write_descriptor(input);
      case 2: return move_head(input);
      case 3: return set_head(input);
      case 4: return receive();
      case 5: return send(input);
      case 6: return offer(input);
      case 7: return (void)link_->arm();
      default: return link_->disarm();
    }
  }

  void write_bytes(Input& input) {
    const auto region = memory_[input.below(memory_.size())];
    const size_t at = input.half() % region.size();
    const auto bytes = input.bytes(std::min<size_t>(input.byte(), region.size() - at));
    std::memcpy(region.data() + at, bytes.data(), bytes.size());
  }
  void write_descriptor(Input& input) {
    const RingModel& target = ring(input.below(receive_.size() + 1));
    const uint16_t slot = input.byte();
    const auto descriptor = input.take<Descriptor>();
    std::memcpy(target.slot(memory_, slot), &descriptor, sizeof descriptor);
  }
  void move_head(Input& input) {
    RingHeader& header = ring(input.below(receive_.size() + 1)).header(memory_);
    header.head = static_cast<uint16_t>(header.head + input.byte() % 40);
  }
  void set_head(Input& input) {
    ring(input.below(receive_.size() + 1)).header(memory_).head = input.half();
  }

  // Good buffers for the server to fill, as an honest client offers them.
  void offer(Input& input) {
    const uint32_t length = 1 + input.half() % 2048;
    const auto region = static_cast<uint16_t>(input.below(memory_.size()));
    for (uint16_t i = 0; i < send_.size(); ++i) {
      const Descriptor one{0, region, length,
                           static_cast<uint32_t>(kRegionSize - length - (i * 97U) % 4096), 0};
      std::memcpy(send_.slot(memory_, i), &one, sizeof one);
    }
    send_.header(memory_).head = static_cast<uint16_t>(send_.tail + send_.size());
  }

  // Ordered: rings apart, so nothing the worker writes changes what it reads later.
  bool ordered() const { return (layout_.flags & kScattered) == 0; }

  void check_packet(const Packet& packet) {
    WEIR_INVARIANT(packet.length > 0 && packet.length <= kMaxFrame);
    WEIR_INVARIANT(packet.head_length == std::min<uint32_t>(packet.length, kHeadSize));
    WEIR_INVARIANT(packet.body_count <= kMaxSegments);
    uint32_t length = packet.head_length;
    for (uint16_t i = 0; i < packet.body_count; ++i) {
      const Segment& piece = packet.body[i];
      WEIR_INVARIANT(piece.length > 0 && inside(ours_, piece.data, piece.length));
      length += piece.length;
    }
    WEIR_INVARIANT(length == packet.length);
  }

  uint16_t rx() {
    const RxBatch batch{.packets = std::span(packets_).first(kBatch),
                        .segments = std::span(segments_)};
    const uint16_t count = link_->rx(batch);
    WEIR_INVARIANT(count <= kBatch);
    for (uint16_t i = 0; i < count; ++i) check_packet(packets_[i]);
    return count;
  }

  static Frame bytes_of(const Packet& packet) {
    Frame frame(packet.data(), packet.data() + packet.head_length);
    for (uint16_t i = 0; i < packet.body_count; ++i)
      frame.insert(frame.end(), packet.body[i].data, packet.body[i].data + packet.body[i].length);
    return frame;
  }

  // What the client makes of our tail is no matter; a value out of reach tells whether
  // the link wrote it.
  static constexpr uint16_t kUnreachable = 0x8000;
  void spoil_tail(RingModel& ring) {
    if (ordered()) ring.header(memory_).tail = static_cast<uint16_t>(ring.tail + kUnreachable);
  }
  void read_tail(RingModel& ring) {
    const uint16_t now = ring.header(memory_).tail;
    if (!ordered() || now != static_cast<uint16_t>(ring.tail + kUnreachable)) ring.tail = now;
  }

  void receive() {
    const bool was_broken = link_->fault() != Fault::none;
    for (RingModel& one : receive_) spoil_tail(one);
    link_->disarm();  // else rx writes flags between our look at the memory and its own
    std::vector<ReceivedFrames> expected;
    for (const RingModel& one : receive_) expected.push_back(read_ring(memory_, one));
    const uint16_t count = rx();
    WEIR_INVARIANT(!was_broken || count == 0);
    std::vector<Frame> got;
    for (uint16_t i = 0; i < count; ++i) got.push_back(bytes_of(packets_[i]));
    link_->rx_done();
    const std::vector<RingModel> before = receive_;
    for (RingModel& one : receive_) read_tail(one);
    if (ordered()) check_received(std::move(got), expected, before, was_broken);
  }

  // Each ring gave a whole number of its frames, in order, and a broken ring is noticed
  // as soon as what lies before the break was taken.
  void check_received(std::vector<Frame> got, const std::vector<ReceivedFrames>& expected,
                      const std::vector<RingModel>& before, bool was_broken) {
    std::vector<Frame> wanted;
    bool all_taken = true;
    bool broken = was_broken;
    for (size_t i = 0; i < receive_.size(); ++i) {
      size_t taken = 0;
      if (receive_[i].tail != before[i].tail) {
        const auto end = std::ranges::find(expected[i].ends, receive_[i].tail);
        WEIR_INVARIANT(end != expected[i].ends.end());
        taken = static_cast<size_t>(end - expected[i].ends.begin()) + 1;
      }
      for (size_t n = 0; n < taken; ++n) wanted.push_back(expected[i].frames[n]);
      const bool whole = taken == expected[i].frames.size();
      all_taken &= whole;
      broken |= whole && expected[i].broken;
    }
    WEIR_INVARIANT(got.size() == wanted.size());
    std::ranges::sort(got);
    std::ranges::sort(wanted);
    WEIR_INVARIANT(got == wanted);
    if (got.size() < kBatch) {
      WEIR_INVARIANT(broken == (link_->fault() != Fault::none));
      WEIR_INVARIANT(broken || all_taken);
    }
  }

  void make_packets(Input& input, size_t count) {
    frames_.resize(count);
    bodies_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const size_t length = 1 + input.half() % 20000;
      frames_[i].assign(length, static_cast<std::byte>(length + i));
      Packet& packet = packets_[i];
      packet.length = static_cast<uint32_t>(length);
      packet.head_offset = kHeadroom;
      packet.head_length = static_cast<uint16_t>(std::min<size_t>(length, kHeadSize));
      std::memcpy(packet.data(), frames_[i].data(), packet.head_length);
      bodies_[i] = {frames_[i].data() + packet.head_length, packet.length - packet.head_length};
      packet.body = &bodies_[i];
      packet.body_count = bodies_[i].length > 0 ? 1 : 0;
      pointers_[i] = &packet;
    }
  }

  size_t tx(size_t count) {
    drops_.fill(Drop::count);
    const uint16_t sent = link_->tx(0, std::span(pointers_).first(count), drops_.data());
    size_t kept = 0;
    for (size_t i = 0; i < count; ++i) {
      const Drop drop = drops_[i];
      kept += drop == Drop::count ? 1 : 0;
      WEIR_INVARIANT(drop == Drop::count || drop == Drop::tx_ring_full ||
                     drop == Drop::tx_too_long || drop == Drop::tx_port_down);
      WEIR_INVARIANT(drop != Drop::tx_port_down || link_->fault() != Fault::none);
    }
    WEIR_INVARIANT(kept == sent);
    return sent;
  }

  void send(Input& input) {
    const size_t count = 1 + input.below(4);
    make_packets(input, count);
    const bool was_broken = link_->fault() != Fault::none;
    spoil_tail(send_);
    std::vector<Frame> before = copy();
    const bool apart = ordered() && list_writable();
    const size_t sent = tx(count);
    WEIR_INVARIANT(!was_broken || sent == 0);
    (void)link_->flush();
    RingModel filled = send_;
    read_tail(send_);
    if (apart) check_sent(std::move(before), filled, count);
  }

  std::vector<Frame> copy() const {
    std::vector<Frame> result;
    for (const auto& region : memory_) result.emplace_back(region.begin(), region.end());
    return result;
  }

  struct Range {
    uint16_t region;
    size_t begin;
    size_t end;
  };

  // Lists what tx may write to: offered buffers and rings. False when any of them lie over
  // each other, as then what is read depends on the order of writes.
  bool list_writable() {
    writable_.clear();
    for (size_t i = 0; i <= receive_.size(); ++i) {
      const RingPlace& place = ring(i).place;
      writable_.push_back({place.region, place.offset, place.offset + ring_bytes(log2())});
    }
    const uint16_t available = send_.available(memory_);
    for (uint16_t i = 0; i < available && available <= send_.size(); ++i) {
      const Descriptor one = send_.descriptor(memory_, static_cast<uint16_t>(send_.tail + i));
      if (!buffer_of(memory_, one)) break;
      writable_.push_back({one.region, one.offset, size_t{one.offset} + one.length});
    }
    std::ranges::sort(writable_, {},
                      [](const Range& range) { return std::pair(range.region, range.begin); });
    return std::ranges::adjacent_find(writable_, [](const Range& a, const Range& b) {
             return a.region == b.region && a.end > b.begin;
           }) == writable_.end();
  }

  void check_sent(std::vector<Frame> before, RingModel filled, size_t count) {
    for (const Range& range : writable_) {
      std::memcpy(before[range.region].data() + range.begin,
                  memory_[range.region].data() + range.begin, range.end - range.begin);
    }
    for (size_t i = 0; i < memory_.size(); ++i)
      WEIR_INVARIANT(std::memcmp(before[i].data(), memory_[i].data(), kRegionSize) == 0);
    Frame frame;
    size_t next = 0;
    while (filled.tail != send_.tail) {
      const Descriptor one = filled.descriptor(memory_, filled.tail++);
      const auto buffer = buffer_of(memory_, one);
      WEIR_INVARIANT(buffer.has_value());
      frame.insert(frame.end(), buffer->begin(), buffer->end());
      if ((one.flags & kDescriptorNext) != 0) continue;
      while (next < count && drops_[next] != Drop::count) ++next;
      WEIR_INVARIANT(next < count && frame == frames_[next]);
      ++next;
      frame.clear();
    }
    WEIR_INVARIANT(frame.empty());
    while (next < count) WEIR_INVARIANT(drops_[next++] != Drop::count);
  }

  Layout layout_;
  Memory memory_;
  Memory ours_;  // the link's mappings of the same
  std::vector<RingModel> receive_;
  RingModel send_;
  std::optional<Link> link_;
  std::vector<Range> writable_;
  std::vector<Frame> frames_;
  std::vector<Segment> bodies_;
  std::array<Packet*, kBatch> pointers_{};
  std::array<Drop, kBatch> drops_{};

  static inline std::array<Packet, kBatch> packets_;
  static inline std::array<Segment, kBatch * kMaxSegments> segments_;
};

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::fuzz;
  static SharedMemory shared;
  Input input(data, size);
  Session(shared, input).run(input);
  return 0;
}
