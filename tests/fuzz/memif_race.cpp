// A memif client that rewrites descriptors, indices and buffers while the worker uses
// them. What the worker checked is what it uses: nothing outside the regions is touched, a
// packet's length and pieces agree, and a fault is final.
//
// Input: words that a second thread writes over and over, each a Word.
#include <atomic>
#include <optional>
#include <thread>

#include "tests/fuzz/ring_model.h"
#include "tests/fuzz/shared_memory.h"

namespace weir::fuzz {
namespace {

using namespace weir::dataplane;
using namespace weir::dataplane::memif;

constexpr unsigned kLives = 8;    // a client that is caught comes back
constexpr unsigned kRounds = 40;  // of the worker, each life
constexpr uint8_t kLog2 = 5;
constexpr uint32_t kFrame = 400;  // bytes: a head and a body

#pragma pack(push, 1)
struct Word {
  uint8_t where;  // 0: any word of the memory; 1, 2: of a receive, of a send descriptor
  uint16_t at;
  uint64_t value;
};
#pragma pack(pop)

using Target = std::pair<uint64_t*, uint64_t>;

// The second thread: writes all words in turn while it is told to, and sleeps else.
class Scribbler {
 public:
  Scribbler() {
    std::thread([this] { run(); }).detach();
  }
  void start(std::vector<Target> targets) {
    targets_ = std::move(targets);
    wanted_.store(true);
    wanted_.notify_one();
  }
  void stop() {
    wanted_.store(false);
    while (busy_.load()) std::this_thread::yield();
  }

 private:
  void run() {
    while (true) {
      busy_.store(true);
      while (wanted_.load()) {
        for (const auto& [word, value] : targets_)
          std::atomic_ref(*word).store(value, std::memory_order_relaxed);
      }
      busy_.store(false);
      wanted_.wait(false);
    }
  }

  std::vector<Target> targets_;
  std::atomic<bool> wanted_{false};
  std::atomic<bool> busy_{false};
};

class Race {
 public:
  Race(SharedMemory& shared, Scribbler& scribbler, Input& input)
      : shared_(shared), scribbler_(scribbler), memory_(shared.memory(2)) {
    while (!input.empty()) targets_.push_back(target(input.take<Word>()));
  }

  void run() {
    for (unsigned life = 0; life < kLives; ++life) {
      connect();
      scribbler_.start(targets_);
      for (unsigned i = 0; i < kRounds && link_->fault() == Fault::none; ++i) round();
      const bool broken = link_->fault() != Fault::none;
      WEIR_INVARIANT(!broken || (rx() == 0 && tx() == 0));
      scribbler_.stop();
    }
  }

 private:
  Target target(const Word& word) {
    const RingModel& ring = word.where % 3 == 1 ? receive_ : send_;
    auto* slot =
        reinterpret_cast<uint64_t*>(ring.slot(memory_, static_cast<uint16_t>(word.at / 2)));
    const std::span<std::byte> region = memory_[word.at % 2];
    auto* any = reinterpret_cast<uint64_t*>(region.data()) + word.at / 2 % (region.size() / 8);
    const uint64_t value = word.value;  // Word is packed: no reference into it
    return {word.where % 3 == 0 ? any : slot + word.at % 2, value};
  }

  // A good client's memory: frames to take, buffers to fill.
  void connect() {
    memory_ = shared_.memory(2);
    for (uint16_t i = 0; i < receive_.size(); ++i) {
      const uint32_t offset = i * kFrame;
      put(receive_, i, {0, 1, kFrame, offset, 0});
      put(send_, i, {0, 0, 256, 4096 + i * 256U, 0});
    }
    std::vector<Region> mapped = shared_.map(2);
    ours_.clear();
    for (const Region& region : mapped) ours_.emplace_back(region.base(), region.size());
    link_.emplace(std::move(mapped), std::span(&receive_.place, 1), std::span(&send_.place, 1));
    received_ = sent_ = 0;
    offer();
  }
  void put(const RingModel& ring, uint16_t slot, const Descriptor& descriptor) {
    std::memcpy(ring.slot(memory_, slot), &descriptor, sizeof descriptor);
  }
  void offer() {
    const auto store = [](uint16_t& head, uint16_t value) {
      std::atomic_ref(head).store(value, std::memory_order_release);
    };
    store(receive_.header(memory_).head, static_cast<uint16_t>(received_ + receive_.size()));
    store(send_.header(memory_).head, static_cast<uint16_t>(sent_ + send_.size()));
  }

  void round() {
    rx();
    tx();
    (void)link_->flush();
    link_->rx_done();
    offer();
  }

  uint16_t rx() {
    const RxBatch batch{.packets = packets_, .segments = segments_};
    count_ = link_->rx(batch);
    for (uint16_t i = 0; i < count_; ++i) check(packets_[i]);
    // Chains take more descriptors than frames; heads that lag behind are right, too.
    received_ = static_cast<uint16_t>(received_ + count_);
    return count_;
  }

  // Frames go out as they came in: their bodies lie in memory that changes.
  uint16_t tx() {
    drops_.fill(Drop::count);
    for (uint16_t i = 0; i < count_; ++i) pointers_[i] = &packets_[i];
    const uint16_t sent = link_->tx(0, std::span(pointers_).first(count_), drops_.data());
    WEIR_INVARIANT(sent == std::count(drops_.begin(), drops_.begin() + count_, Drop::count));
    sent_ = static_cast<uint16_t>(sent_ + sent);
    return sent;
  }

  void check(const Packet& packet) const {
    WEIR_INVARIANT(packet.length > 0 && packet.length <= kMaxFrame);
    uint32_t length = packet.head_length;
    WEIR_INVARIANT(packet.body_count <= kMaxSegments);
    for (uint16_t i = 0; i < packet.body_count; ++i) {
      const Segment& piece = packet.body[i];
      WEIR_INVARIANT(inside(ours_, piece.data, piece.length));
      length += piece.length;
    }
    WEIR_INVARIANT(length == packet.length);
  }

  SharedMemory& shared_;
  Scribbler& scribbler_;
  Memory memory_;
  Memory ours_;  // the link's mappings of the same
  RingModel receive_{.place = {0, 0, kLog2}};
  RingModel send_{.place = {0, 1024, kLog2}};
  std::vector<Target> targets_;
  std::optional<Link> link_;
  uint16_t received_ = 0;
  uint16_t sent_ = 0;
  uint16_t count_ = 0;
  std::array<Packet*, kVectorSize> pointers_{};
  std::array<Drop, kVectorSize> drops_{};

  static inline std::array<Packet, kVectorSize> packets_;
  static inline std::array<Segment, size_t{kVectorSize} * kMaxSegments> segments_;
};

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::fuzz;
  static SharedMemory shared;
  static auto& scribbler = *new Scribbler;  // its thread outlives everything
  Input input(data, size);
  Race(shared, scribbler, input).run();
  return 0;
}
