#include "bench/traffic/traffic.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "dataplane/core/tsc.h"

namespace weir::bench {

using dataplane::tsc;
using dataplane::tsc_hz;

namespace {

constexpr uint16_t kBurst = 64;
// Less room is not worth a turn: frames would leave one by one, each with its own index.
constexpr uint16_t kLeastRoom = 32;
constexpr double kDrainSeconds = 0.05;
// After a pause of the generator the device may be asleep, and a virtual processor takes its
// time to wake: what finds the ring full meanwhile counts as not offered.
constexpr double kPauseSeconds = 50e-6;
constexpr double kWakeSeconds = 0.002;

// Nanoseconds this thread was ready to run and did not: the second field of schedstat.
double waited_ns() {
  std::ifstream file("/proc/thread-self/schedstat");
  double ran = 0;
  double waited = 0;
  file >> ran >> waited;
  return waited;
}

}  // namespace

Traffic::Traffic(TxRing tx, std::vector<RxRing> rx, Frames frames, TrafficOptions options,
                 std::function<void()> device)
    : tx_(tx),
      rx_(std::move(rx)),
      frames_(std::move(frames)),
      options_(std::move(options)),
      device_(std::move(device)),
      cycles_per_frame_(options_.rate > 0 ? static_cast<double>(tsc_hz()) / options_.rate : 0) {
  prepare();
}

// Every buffer holds a good frame; replay sends these again and again.
void Traffic::prepare() {
  const RingView& ring = tx_.view();
  lengths_.resize(ring.size());
  for (uint16_t slot = 0; slot < ring.size(); ++slot) {
    const uint32_t size = options_.sizes[slot % options_.sizes.size()] - kEthernetFcs;
    lengths_[slot] = std::clamp(size, frames_.smallest(), ring.buffer);
    ring.slot(slot).length = lengths_[slot];
    frames_.fill(ring.frame(slot), lengths_[slot]);
    frames_.touch(ring.frame(slot), lengths_[slot], 0);
  }
}

TrafficReport Traffic::run() {
  next_due_ = static_cast<double>(tsc());
  phase(options_.warmup, true);
  const TrafficReport before = total_;
  busy_cycles_ = 0;
  const double waited = waited_ns();
  const uint64_t start = tsc();
  total_.latency_ns = {};
  phase(options_.seconds, true);
  const auto cycles = static_cast<double>(tsc() - start);
  TrafficReport report = total_;
  report.waited = (waited_ns() - waited) / 1e9;
  phase(kDrainSeconds, false);

  report.seconds = cycles / static_cast<double>(tsc_hz());
  report.waited /= report.seconds;
  report.busy = static_cast<double>(busy_cycles_) / cycles;
  report.offered -= before.offered;
  report.refused -= before.refused;
  report.sent -= before.sent;
  report.received -= before.received;
  report.received_bytes -= before.received_bytes;
  report.stalls -= before.stalls;
  report.lost = total_.sent - std::min(total_.sent, total_.received);
  report.checked = total_.checked;
  report.bad = total_.bad;
  return report;
}

void Traffic::phase(double seconds, bool sending) {
  const uint64_t end = tsc() + static_cast<uint64_t>(seconds * static_cast<double>(tsc_hz()));
  for (uint64_t now = tsc(); now < end;) now = turn(now, sending);
}

uint64_t Traffic::turn(uint64_t now, bool sending) noexcept {
  unsigned moved = sending ? send(now) : 0U;
  if (device_) device_();
  for (RxRing& ring : rx_) moved += receive(ring, now);
  if (moved == 0) _mm_pause();  // spares the device its cache lines
  const uint64_t after = tsc();
  if (moved != 0) busy_cycles_ += after - now;
  return after;
}

// Frames that the rate wants sent by now. After a pause of its own the generator starts
// afresh: the device is not to blame for the burst that would follow.
uint16_t Traffic::due(uint64_t now) noexcept {
  const double late = static_cast<double>(now) - next_due_;
  const auto hz = static_cast<double>(tsc_hz());
  if (late > kPauseSeconds * hz) excused_until_ = now + static_cast<uint64_t>(kWakeSeconds * hz);
  const double behind = late / cycles_per_frame_;
  if (behind < 1) return 0;
  if (behind > tx_.view().size() / 2.0) {
    ++total_.stalls;
    next_due_ = static_cast<double>(now);
    return 0;
  }
  const auto frames = static_cast<uint16_t>(behind);
  next_due_ += frames * cycles_per_frame_;
  return frames;
}

uint16_t Traffic::send(uint64_t now) noexcept {
  uint16_t count = 0;
  if (cycles_per_frame_ == 0) {
    const uint16_t room = tx_.room(kBurst);
    count = room < kLeastRoom ? uint16_t{0} : std::min(room, kBurst);
    total_.offered += count;
  } else {
    const uint16_t wanted = due(now);
    count = std::min(wanted, tx_.room(wanted));
    const uint16_t refused =
        now < excused_until_ ? uint16_t{0} : static_cast<uint16_t>(wanted - count);
    total_.offered += count + refused;
    total_.refused += refused;
  }
  if (count != 0) emit(count, now);
  return count;
}

void Traffic::emit(uint16_t count, uint64_t now) noexcept {
  if (options_.mode == Mode::touch) {
    const RingView& ring = tx_.view();
    const auto first = tx_.head();
    // The device has read these lines; to be written they have to come back.
    for (uint16_t i = 0; i < count; ++i)
      __builtin_prefetch(ring.frame(static_cast<uint16_t>(first + i)), 1);
    for (uint16_t i = 0; i < count; ++i) {
      const auto slot = static_cast<uint16_t>((first + i) & ring.mask);
      frames_.touch(ring.frame(slot), lengths_[slot], now);
    }
  }
  tx_.publish(count);
  total_.sent += count;
}

uint16_t Traffic::receive(RxRing& from, uint64_t now) noexcept {
  const uint16_t count = std::min(from.waiting(), kBurst);
  if (count == 0) return 0;
  const RingView& ring = from.view();
  uint64_t bytes = 0;
  for (uint16_t i = 0; i < count; ++i) {
    memif::Descriptor& slot = ring.slot(static_cast<uint16_t>(from.next() + i));
    bytes += slot.length;
    if (--until_check_ == 0) check(ring.memory + slot.offset, slot.length, now);
    slot.length = ring.buffer;
  }
  from.release(count);
  total_.received += count;
  total_.received_bytes += bytes + uint64_t{count} * kEthernetFcs;
  return count;
}

void Traffic::check(const std::byte* frame, uint32_t length, uint64_t now) noexcept {
  until_check_ = options_.check_every;
  ++total_.checked;
  const auto stamp = frames_.check(frame, length);
  if (!stamp) {
    ++total_.bad;
  } else if (options_.mode == Mode::touch && now > stamp->tsc) {
    total_.latency_ns.record((now - stamp->tsc) * 1'000'000'000 / tsc_hz());
  }
}

}  // namespace weir::bench
