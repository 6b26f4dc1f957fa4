// Frames as any pod may send them, in any pieces and with any offload header, through all
// stages and out as a port would send them. Every packet gets one verdict, all that leaves
// is well formed and says what came in, and nothing outside the frames is touched. There
// are services, and open connections to them.
//
// Input: packets of a vector (1 to 4), each as Script below, then its frame.
#include "dataplane/core/pipeline.h"

#include "tests/dataplane/services.h"
#include "tests/fuzz/frame_check.h"
#include "tests/fuzz/input.h"

namespace weir::fuzz {
namespace {

using namespace weir::dataplane;
using dataplane::test::kLabTscHz;
using dataplane::test::Lab;

#pragma pack(push, 1)
struct Script {
  uint8_t flags;
  uint8_t repairs;
  uint8_t in_port;
  uint8_t gso;
  uint16_t segment_size;
  uint16_t checksum_start;
  uint16_t checksum_offset;
  uint16_t piece;    // bytes of a body piece
  uint16_t padding;  // bytes appended to the frame: long frames from short inputs
  uint16_t frame_length;
};
#pragma pack(pop)

// Script::flags
constexpr uint8_t kPartialChecksum = 1;
constexpr uint8_t kTakesOffload = 2;
constexpr uint8_t kBodyChanges = 4;  // the peer writes to it between the stages and tx
// Script::repairs: what a mutation breaks and later stages want right.
constexpr uint8_t kRepairAddresses = 1;
constexpr uint8_t kRepairLengths = 2;
constexpr uint8_t kRepairChecksum = 4;

struct Sent {
  Original original;
  Script script{};
  std::vector<std::unique_ptr<std::byte[]>> pieces;
  std::vector<Segment> segments;
  bool answered = false;  // an ICMP error took its place
  Next verdict = Next::count;
};

class Verdicts final : public TraceSink {
 public:
  explicit Verdicts(std::vector<Sent>& sent) : sent_(sent) {}
  void step(const Packet&, size_t index, Next stage, Next verdict) noexcept override {
    WEIR_INVARIANT(sent_[index].verdict != Next::tx && sent_[index].verdict != Next::drop);
    sent_[index].verdict = verdict;
    if (stage == Next::icmp_error && verdict != Next::drop) sent_[index].answered = true;
  }

 private:
  std::vector<Sent>& sent_;
};

void repair(Bytes& frame, const Script& script, const MacAddress& source) {
  if (frame.size() < 34) return;
  if ((script.repairs & kRepairAddresses) != 0) {
    std::ranges::copy(kGatewayMac.bytes, frame.begin());
    std::ranges::copy(source.bytes, frame.begin() + 6);
  }
  const size_t length = frame.size() - 14;
  const bool ip4 = frame[12] == 8 && frame[13] == 0;
  if ((script.repairs & kRepairLengths) != 0 && length <= 65535) {
    const size_t field = ip4 ? 16 : 18;
    const size_t value = ip4 ? length : length - std::min<size_t>(length, 40);
    frame[field] = static_cast<uint8_t>(value >> 8);
    frame[field + 1] = static_cast<uint8_t>(value);
  }
  const size_t header = (frame[14] & 15U) * 4U;
  if ((script.repairs & kRepairChecksum) != 0 && ip4 && header >= 20 && header <= length) {
    frame[24] = frame[25] = 0;
    const uint16_t sum = test::naive_checksum(
        Bytes(frame.begin() + 14, frame.begin() + 14 + static_cast<ptrdiff_t>(header)));
    frame[24] = static_cast<uint8_t>(sum >> 8);
    frame[25] = static_cast<uint8_t>(sum);
  }
}

class Pipeline {
 public:
  Pipeline() { test::serve(lab_); }

  void run(Input& input) {
    forget();
    open_connections();
    std::vector<Sent> sent(1 + input.below(4));
    const uint64_t dropped_before = drops();
    for (size_t i = 0; i < sent.size(); ++i) load(sent[i], lab_.vector().packets[i], input);
    Verdicts verdicts(sent);
    lab_.vector().start(static_cast<uint16_t>(sent.size()));
    run_pipeline<true>(lab_.vector(), lab_.context(), lab_.counters(), &verdicts);
    transmit(sent);
    settle(lab_.vector(), lab_.context());
    uint64_t expected = refused_;
    for (const Sent& one : sent) {
      expected += (one.answered ? 1 : 0) + (one.verdict == Next::drop ? 1 : 0);
      WEIR_INVARIANT(one.verdict == Next::tx || one.verdict == Next::drop);
    }
    WEIR_INVARIANT(drops() - dropped_before == expected);
    for (const StageQueue& queue : lab_.vector().queues) WEIR_INVARIANT(queue.count == 0);
  }

 private:
  // Each input begins with the same state: longer than any connection or fragment is kept.
  void forget() {
    lab_.context().now += 2 * FragmentTable::kSeconds * kLabTscHz;
    lab_.context().ticks += 2 * 86400 * kTicksPerSecond;
    for (int i = 0; i < 2; ++i) lab_.connections().reap(lab_.context().ticks, UINT32_MAX);
    lab_.reap();
  }

  void open_connections() {
    const auto udp = test::udp(test::filler(10), {.destination = 80});
    const auto tcp = test::tcp(test::filler(10), {.destination = 80});
    lab_.run(test::eth(kEtherIp4, test::ip4({.destination = test::kVip4}, udp)));
    lab_.run(test::eth(kEtherIp6, test::ip6({.destination = test::kVip6}, udp)));
    lab_.run(
        test::eth(kEtherIp4, test::ip4({.destination = test::kVip4, .protocol = kProtoTcp}, tcp)));
    lab_.run(test::eth(kEtherIp6,
                       test::ip6({.destination = test::kVip6, .next_header = kProtoTcp}, tcp)));
    WEIR_INVARIANT(!lab_.connections().empty());
  }

  // All that was counted at any port, for any reason.
  uint64_t drops() {
    uint64_t sum = 0;
    for (uint16_t port = 1; port < test::kLabPorts; ++port) {
      for (const Counter& counter : lab_.context().ports[port].counters.load()->drops)
        sum += counter.get();
    }
    return sum;
  }

  const PortInfo* info(uint16_t port) { return lab_.context().port(port); }

  void load(Sent& sent, Packet& packet, Input& input) {
    const Script script = sent.script = input.take<Script>();
    packet.in_port = static_cast<uint16_t>(1 + script.in_port % 5);
    const auto bytes = input.bytes(script.frame_length);
    Bytes& frame = sent.original.frame;
    frame.assign(bytes.begin(), bytes.end());
    const size_t longest = kMaxFrame - std::min<size_t>(frame.size(), kMaxFrame);
    for (size_t i = 0; i < std::min<size_t>(script.padding, longest); ++i)
      frame.push_back(static_cast<uint8_t>(i * 7));
    const PortInfo* from = info(packet.in_port);
    repair(frame, script, from != nullptr ? from->mac : MacAddress{});
    packet.length = static_cast<uint32_t>(frame.size());
    packet.head_offset = kHeadroom;
    packet.head_length = static_cast<uint16_t>(std::min<size_t>(frame.size(), kHeadSize));
    std::copy_n(reinterpret_cast<const std::byte*>(frame.data()), packet.head_length,
                packet.data());
    split(sent, packet);
    packet.offload = {.partial_checksum = (script.flags & kPartialChecksum) != 0,
                      .gso = static_cast<Gso>(script.gso % 3),
                      .segment_size = script.segment_size,
                      .checksum_start = script.checksum_start,
                      .checksum_offset = script.checksum_offset};
    sent.original.offload = packet.offload;
  }

  // The body in heap blocks of their own: a sanitizer sees every access beyond them.
  static void split(Sent& sent, Packet& packet) {
    const Bytes& frame = sent.original.frame;
    const size_t left = frame.size() - packet.head_length;
    const size_t least = (left + kMaxSegments - 1) / kMaxSegments;
    const size_t piece = std::max<size_t>({sent.script.piece, least, 1});
    for (size_t at = packet.head_length; at < frame.size(); at += piece) {
      const size_t length = std::min(piece, frame.size() - at);
      auto& block = sent.pieces.emplace_back(std::make_unique<std::byte[]>(length));
      std::memcpy(block.get(), frame.data() + at, length);
      sent.segments.push_back({block.get(), static_cast<uint32_t>(length)});
    }
    packet.body = sent.segments.data();
    packet.body_count = static_cast<uint16_t>(sent.segments.size());
  }

  void transmit(std::vector<Sent>& sent) {
    refused_ = 0;
    StageQueue& queue = lab_.vector().queue(Next::tx);
    for (const uint8_t index : queue.waiting()) {
      Sent& one = sent[index];
      Packet& packet = lab_.vector().packets[index];
      WEIR_INVARIANT(one.verdict == Next::tx);
      for (size_t i = 0; (one.script.flags & kBodyChanges) != 0 && i < one.segments.size(); ++i)
        std::memset(const_cast<std::byte*>(one.segments[i].data), 0xff, one.segments[i].length);
      send(one, packet);
    }
    queue.count = 0;
  }

  void send(const Sent& one, Packet& packet) {
    const PortInfo* port = info(packet.out_port);
    WEIR_INVARIANT(port != nullptr);
    const bool generated = packet.generated;
    const bool translated = packet.translated;
    const bool takes_offload = (one.script.flags & kTakesOffload) != 0 && !generated;
    std::vector<Bytes> frames;
    const Drop verdict = for_each_piece(packet, takes_offload, *pieces_, [&](Packet& piece) {
      WEIR_INVARIANT(piece.body_count <= kMaxSegments);
      frames.push_back(test::bytes_of(piece));
      WEIR_INVARIANT(frames.back().size() == piece.length);
      const bool super_frame = piece.offload.gso != Gso::none;
      WEIR_INVARIANT(takes_offload || !piece.offload.any());
      check_wire_format(frames.back(), port->mac, super_frame ? 0 : port->mtu);
      return true;
    });
    if (verdict != Drop::count) {
      WEIR_INVARIANT(frames.empty());
      packet.drop = verdict;
      count_drop(packet, lab_.context());
      ++refused_;
      return;
    }
    if ((one.script.flags & kBodyChanges) != 0) return;
    if (translated) {
      if (!generated && !takes_offload) check_translated(one.original, frames);
    } else if (generated) {
      WEIR_INVARIANT(frames.size() == 1);
      check_generated(one.original, frames[0]);
    } else if (!takes_offload) {
      check_forwarded(one.original, frames);
    }
  }

  Lab lab_;
  std::unique_ptr<PieceScratch> pieces_ = std::make_unique<PieceScratch>();
  uint64_t refused_ = 0;
};

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static weir::fuzz::Pipeline pipeline;
  weir::fuzz::Input input(data, size);
  pipeline.run(input);
  return 0;
}
