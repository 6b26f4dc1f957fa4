#include "dataplane/runtime/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <new>

#include "dataplane/core/tsc.h"
#include "dataplane/nodes/connection.h"

namespace weir::dataplane {

namespace {

constexpr uint32_t kWakeEvent = UINT32_MAX;  // epoll data of the wake-up eventfd
constexpr size_t kBufferStride = 66 * 1024;  // a kernel port's largest frame, kMaxFrame
constexpr size_t kRxSegments = size_t{kVectorSize} * kMaxSegments;
// How long a worker polls in vain before it sleeps. Longer: better latency of sparse
// traffic; shorter: less CPU burnt between packets.
constexpr uint64_t kSpinMicroseconds = 100;
constexpr int kLongestSleep = 1000;  // milliseconds
// Asking the kernel for readable taps costs a system call: while polled ports are busy
// it is done once in so much time.
constexpr uint64_t kWaitingMicroseconds = 10;

// Carves a worker's block of memory.
class Carver {
 public:
  explicit Carver(std::byte* at) : at_(at) {}
  template <class T>
  T* take(size_t count) {
    auto* out = reinterpret_cast<T*>(at_);
    at_ += (count * sizeof(T) + 63) / 64 * 64;
    return out;
  }

 private:
  std::byte* at_;
};

constexpr size_t memory_size() {
  return sizeof(Vector) + kVectorSize * (kBufferStride + kScratchSize) +
         (kRxSegments + kVectorSize) * sizeof(Segment) + sizeof(PieceScratch) + kMaxPorts * (sizeof(TokenBucket) + 2 * sizeof(uint16_t) + sizeof(uint8_t)) +
         sizeof(FragmentTable) + 4096;
}

}  // namespace

Worker::Worker(const WorkerPlace& place, const SharedTables& tables, Rcu& rcu)
    : place_(place),
      tables_(tables),
      rcu_(rcu),
      memory_(memory_size(), place.numa_node, place.hugepages),
      rx_list_(new RxList),
      recorder_(place.index, tables.ports) {
  Carver carver(memory_.data());
  vector_ = new (carver.take<Vector>(1)) Vector;
  buffers_ = carver.take<std::byte>(kVectorSize * kBufferStride);
  rx_segments_ = carver.take<Segment>(kRxSegments);
  pieces_ = new (carver.take<PieceScratch>(1)) PieceScratch;
  context_.worker = place.index;
  context_.icmp_error_cost = icmp_error_cost(tsc_hz());
  context_.ports = tables.ports;
  context_.fib4 = tables.fib4;
  context_.fib6 = tables.fib6;
  context_.adjacencies = tables.adjacencies;
  context_.connections = tables.connections;
  context_.services = tables.services;
  context_.backends = tables.backends;
  context_.fragments = new (carver.take<FragmentTable>(1)) FragmentTable(FragmentTable::kSeconds * tsc_hz());
  context_.packets = vector_->packets.data();
  context_.scratch = carver.take<std::byte>(kVectorSize * kScratchSize);
  context_.segments = carver.take<Segment>(kVectorSize);
  context_.icmp_buckets = carver.take<TokenBucket>(kMaxPorts);
  auto* const hot = carver.take<uint16_t>(kMaxPorts);
  auto* const cold = carver.take<uint16_t>(kMaxPorts);
  polls_ = PollList(hot, cold, carver.take<uint8_t>(kMaxPorts));
}

Worker::~Worker() { delete rx_list_.load(); }

Result<std::unique_ptr<Worker>> Worker::make(const WorkerPlace& place, const SharedTables& tables,
                                             Rcu& rcu) {
  std::unique_ptr<Worker> worker(new Worker(place, tables, rcu));
  worker->epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  worker->wake_fd_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{.events = EPOLLIN, .data = {.u32 = kWakeEvent}};
  if (!worker->epoll_ || !worker->wake_fd_ ||
      epoll_ctl(worker->epoll_.get(), EPOLL_CTL_ADD, worker->wake_fd_.get(), &event) != 0) {
    return errno_error("cannot make a worker's epoll set", errno);
  }
  rcu.register_worker(place.index);
  return worker;
}

void Worker::meet(std::span<Worker* const> workers) {
  workers_.assign(workers.begin(), workers.end());
  inbound_.resize(workers.size());
  outbound_.resize(workers.size());
  for (Worker* other : workers) {
    if (other == this) continue;
    auto handoff = std::make_unique<Handoff>();
    outbound_[other->place_.index] = handoff.get();
    other->inbound_.resize(workers.size());
    other->inbound_[place_.index] = handoff.get();
    owned_.push_back(std::move(handoff));
  }
}

void Worker::run() noexcept {
  rcu_.online(place_.index);
  while (!stopped_.load(std::memory_order_relaxed)) {  // relaxed: a flag alone
    if (sweep()) {
      idle_since_ = 0;
    } else {
      idle();
    }
    rcu_.quiescent(place_.index);
  }
  rcu_.offline(place_.index);
}

void Worker::stop() noexcept {
  stopped_.store(true, std::memory_order_relaxed);
  sleeping_.store(true, std::memory_order_relaxed);  // so that wake() always writes
  wake();
}

void Worker::wake() noexcept {
  // acq_rel: an exchange before the worker's own in sleep() passes on what was published;
  // one after it sees the sleep and ends it.
  if (!sleeping_.exchange(false, std::memory_order_acq_rel)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_.get(), &one, sizeof one);
}

bool Worker::sweep() noexcept {
  const uint64_t start = tsc();
  found_ = false;
  run_commands();
  sweep_polled();
  if (!found_ || start >= next_waiting_) sweep_waiting(start);
  sweep_handoffs();
  process();
  sweep_injected();
  counters_.sweeps.add();
  if (found_) counters_.busy_cycles.add(tsc() - start);
  return found_;
}

void Worker::sweep_polled() noexcept {
  const RxList* list = rx_list_.load(std::memory_order_acquire);  // pairs with attach
  if (list->number != polled_) {
    polls_.reset(list->ports);
    polled_ = list->number;
  }
  polls_.sweep([this](uint16_t port) noexcept { return collect(port); });
}

void Worker::sweep_waiting(uint64_t now) noexcept {
  if (waiting_ports_.load(std::memory_order_relaxed) == 0) return;  // relaxed: seen soon enough
  next_waiting_ = now + tsc_hz() / 1'000'000 * kWaitingMicroseconds;
  std::array<epoll_event, kVectorSize> events;
  const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u32 == kWakeEvent) continue;  // sleep() reads it
    const auto port = static_cast<uint16_t>(events[i].data.u32);
    if ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0) {
      forget(port);
    } else {
      collect(port);
    }
  }
}

void Worker::forget(uint16_t port) noexcept {
  // The device behind the descriptor is gone (a pod may delete its own interface); it
  // would be reported for ever.
  Port* io = tables_.ports[port].io.load(std::memory_order_acquire);  // pairs with publication
  if (io != nullptr) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, io->poll_fd(), nullptr);
}

void Worker::sweep_handoffs() noexcept {
  for (Handoff* handoff : inbound_) {
    if (handoff == nullptr || handoff->empty()) continue;
    found_ = true;
    Packet packet;
    Segment segment;
    uint64_t key = 0;
    for (uint16_t i = 0; i < kVectorSize && handoff->peek(packet, segment, key); ++i) {
      const PortInfo* info = context_.port(packet.out_port);
      Packet* one = &packet;
      if (info != nullptr && info->key == key) {
        send(packet.out_port, {&one, 1});
      } else {
        drop_tx(packet, Drop::tx_port_gone);
      }
    }
    flush();
    handoff->release();
  }
}

bool Worker::collect(uint16_t port) noexcept {
  PortSlot& slot = tables_.ports[port];
  Port* io = slot.io.load(std::memory_order_acquire);  // pairs with publication
  if (io == nullptr) return false;
  const uint64_t start = tsc();
  Vector& vector = *vector_;
  const uint16_t first = vector.count;
  DropSink drops(*counters(port));
  const RxBatch batch{std::span(vector.packets).subspan(first),
                      {rx_segments_ + first * kMaxSegments, (kVectorSize - first) * size_t{kMaxSegments}},
                      buffers_ + first * kBufferStride, kBufferStride};
  const uint16_t got = io->rx(batch, drops);
  if (got == 0) return false;
  sources_[source_count_++] = io;
  uint64_t bytes = 0;
  for (Packet& packet : std::span(vector.packets).subspan(first, got)) {
    packet.in_port = port;
    bytes += packet.length;
  }
  vector.count = static_cast<uint16_t>(first + got);
  found_ = true;
  counters(port)->rx_packets.add(got);
  counters(port)->rx_bytes.add(bytes);
  counters_.rx.packets.add(got);
  counters_.rx.vectors.add();
  counters_.rx.cycles.add(tsc() - start);
  if (vector.count == kVectorSize || source_count_ == sources_.size()) process();
  return true;
}

void Worker::process() noexcept {
  if (vector_->count == 0) return;
  vector_->start(vector_->count);
  carry();
  for (uint16_t i = 0; i < source_count_; ++i) sources_[i]->rx_done();
  source_count_ = 0;
}

// Runs the pipeline over what its queues hold and sends what comes out.
void Worker::carry() noexcept {
  Vector& vector = *vector_;
  context_.now = tsc();
  context_.ticks = ticks_at(context_.now, tsc_hz());
  const bool traced = recorder_.active();
  if (traced) {
    for (uint16_t i = 0; i < vector.count; ++i) recorder_.received(vector.packets[i], i);
    run_pipeline<true>(vector, context_, counters_.pipeline, &recorder_);
  } else {
    run_pipeline<false>(vector, context_, counters_.pipeline, nullptr);
  }
  transmit();
  punt();
  settle(vector, context_);
  flush();
  if (traced) recorder_.settle();
  counters_.vectors.add();
  counters_.packets.add(vector.count);
  vector.count = 0;
}

void Worker::punt() noexcept {
  StageQueue& queue = vector_->queue(Next::punt);
  if (queue.count == 0) return;
  for (const uint8_t index : queue.waiting()) {
    Packet& packet = vector_->packets[index];
    if (!punted_.push(packet, packet.adjacency)) drop_tx(packet, Drop::neighbor_queue_full);
  }
  punted_.publish();
  queue.count = 0;
}

void Worker::sweep_injected() noexcept {
  if (injected_.empty()) return;
  found_ = true;
  Vector& vector = *vector_;
  while (vector.count < kVectorSize && take_injected(static_cast<uint8_t>(vector.count))) ++vector.count;
  carry();
  injected_.release();
}

bool Worker::take_injected(uint8_t index) noexcept {
  Packet& packet = vector_->packets[index];
  uint64_t key = 0;
  if (!injected_.peek(packet, rx_segments_[index * size_t{kMaxSegments}], key)) return false;
  if (packet.family != Family::none) {
    vector_->enqueue(Next::route, index);
    return true;
  }
  const PortInfo* info = context_.port(packet.out_port);
  const bool same = info != nullptr && info->key == key;
  if (!same) packet.drop = Drop::tx_port_gone;
  vector_->enqueue(same ? Next::tx : Next::drop, index);
  return true;
}

// Port by port, so that a port is told once; one port's packets stay in order.
void Worker::transmit() noexcept {
  StageQueue& queue = vector_->queue(Next::tx);
  if (queue.count == 0) return;
  const uint64_t start = tsc();
  std::array<Packet*, kVectorSize> run;
  for (size_t waiting = queue.count; waiting > 0;) {
    const uint16_t out_port = vector_->packets[queue.index[0]].out_port;
    size_t length = 0;
    size_t left = 0;
    for (size_t i = 0; i < waiting; ++i) {
      const uint8_t index = queue.index[i];
      Packet& packet = vector_->packets[index];
      const bool same = packet.out_port == out_port;
      run[length] = &packet;
      queue.index[left] = index;
      length += same;
      left += !same;
    }
    send(out_port, {run.data(), length});
    waiting = left;
  }
  counters_.tx.packets.add(queue.count);
  counters_.tx.vectors.add();
  counters_.tx.cycles.add(tsc() - start);
  queue.count = 0;
}

void Worker::send(uint16_t out_port, std::span<Packet* const> packets) noexcept {
  PortSlot& slot = tables_.ports[out_port];
  Port* io = slot.io.load(std::memory_order_acquire);  // pairs with publication
  const PortInfo* info = context_.port(out_port);
  if (io == nullptr || info == nullptr) {
    for (Packet* packet : packets) drop_tx(*packet, Drop::tx_port_gone);
    return;
  }
  const uint32_t owner = slot.worker.load(std::memory_order_relaxed);  // set before io was published
  if (owner != place_.index && !io->shared_tx()) return hand_over(owner, info->key, packets);
  const bool takes_offload = io->takes_offload();
  size_t plain = 0;  // packets[plain..i) go out as they are
  for (size_t i = 0; i < packets.size(); ++i) {
    if (!needs_pieces(*packets[i], takes_offload)) [[likely]]
      continue;
    send_plain(slot, *io, packets.subspan(plain, i - plain));
    send_pieces(slot, *io, *packets[i]);
    plain = i + 1;
  }
  send_plain(slot, *io, packets.subspan(plain));
  if (unflushed_count_ == 0 || unflushed_[unflushed_count_ - 1U] != io) unflushed_[unflushed_count_++] = io;
  if (unflushed_count_ == unflushed_.size()) flush();
}

void Worker::send_plain(PortSlot& slot, Port& port, std::span<Packet* const> packets) noexcept {
  if (packets.empty()) return;
  TxDrops drops;
  drops.fill(Drop::count);
  const uint16_t sent = port.tx(packets, drops.data());
  uint64_t bytes = 0;
  for (const Packet* packet : packets) bytes += packet->length;
  if (sent != packets.size() || recorder_.active()) [[unlikely]]
    bytes -= settle_tx(packets, drops);
  PortCounterBlock& block = slot.counters.load(std::memory_order_relaxed)[place_.index];  // set before io
  block.tx_packets.add(sent);
  block.tx_bytes.add(bytes);
}

// Counts what the port refused, traces the rest. Returns the refused bytes.
uint64_t Worker::settle_tx(std::span<Packet* const> packets, const TxDrops& drops) noexcept {
  uint64_t refused = 0;
  for (size_t i = 0; i < packets.size(); ++i) {
    if (drops[i] != Drop::count) {
      refused += packets[i]->length;
      drop_tx(*packets[i], drops[i]);
    } else if (recorder_.active()) {
      recorder_.sent(*packets[i], vector_index(*packets[i]));
    }
  }
  return refused;
}

void Worker::send_pieces(PortSlot& slot, Port& port, Packet& packet) noexcept {
  const auto emit = [&](Packet& piece) noexcept {
    Packet* one = &piece;
    send_plain(slot, port, {&one, 1});
    return true;
  };
  if (recorder_.active()) recorder_.sent(packet, vector_index(packet));
  const Drop refused = for_each_piece(packet, port.takes_offload(), *pieces_, emit);
  if (refused != Drop::count) drop_tx(packet, refused);
}

void Worker::hand_over(uint32_t owner, uint64_t key, std::span<Packet* const> packets) noexcept {
  for (Packet* packet : packets) {
    if (outbound_[owner]->push(*packet, key)) {
      counters_.handoffs.add();
    } else {
      drop_tx(*packet, Drop::tx_handoff_full);
    }
  }
  handed_over_ |= 1ULL << (owner % 64);
}

void Worker::drop_tx(Packet& packet, Drop reason) noexcept {
  packet.drop = reason;
  if (recorder_.active()) recorder_.refused(packet, vector_index(packet));
  count_drop(packet, context_);
}

size_t Worker::vector_index(const Packet& packet) const noexcept {
  const std::less<const Packet*> before;
  const Packet* first = vector_->packets.data();
  const bool inside = !before(&packet, first) && before(&packet, first + kVectorSize);
  return inside ? static_cast<size_t>(&packet - first) : SIZE_MAX;
}

void Worker::flush() noexcept {
  for (uint16_t i = 0; i < unflushed_count_; ++i) unflushed_[i]->flush();
  unflushed_count_ = 0;
  if (handed_over_ == 0) return;
  for (size_t i = 0; i < outbound_.size(); ++i) {
    if (outbound_[i] == nullptr || (handed_over_ >> (i % 64) & 1) == 0) continue;
    outbound_[i]->publish();
    workers_[i]->wake();
  }
  handed_over_ = 0;
}

void Worker::idle() noexcept {
  const uint64_t now = tsc();
  if (idle_since_ == 0) idle_since_ = now;
  if (now - idle_since_ < tsc_hz() / 1'000'000 * kSpinMicroseconds) {
    _mm_pause();
    return;
  }
  sleep();
  idle_since_ = 0;
}

bool Worker::arm() noexcept {
  bool work = commands_.read_available() > 0 || !injected_.empty();
  longest_sleep_ = kLongestSleep;
  for (const Handoff* handoff : inbound_) work |= handoff != nullptr && !handoff->empty();
  for (const uint16_t port : rx_list_.load(std::memory_order_acquire)->ports) {  // pairs with attach
    Port* io = tables_.ports[port].io.load(std::memory_order_acquire);     // pairs with publication
    if (io == nullptr) continue;
    work |= io->arm();
    longest_sleep_ = std::min(longest_sleep_, io->longest_sleep_ms());
  }
  return work;
}

void Worker::sleep() noexcept {
  sleeping_.exchange(true, std::memory_order_acq_rel);  // see wake()
  if (!arm() && !stopped_.load(std::memory_order_relaxed)) {
    counters_.sleeps.add();
    rcu_.offline(place_.index);
    epoll_event event;
    const int woken = epoll_wait(epoll_.get(), &event, 1, longest_sleep_);
    eventfd_t value = 0;
    if (woken == 1 && event.data.u32 == kWakeEvent) eventfd_read(wake_fd_.get(), &value);
    rcu_.online(place_.index);
  }
  sleeping_.exchange(false, std::memory_order_acq_rel);
  for (const uint16_t port : rx_list_.load(std::memory_order_acquire)->ports) {
    Port* io = tables_.ports[port].io.load(std::memory_order_acquire);
    if (io != nullptr) io->disarm();
  }
}

void Worker::run_commands() noexcept {
  api::TraceFilter filter;
  while (commands_.pop(filter)) recorder_.start(filter);
}

PortCounterBlock* Worker::counters(uint16_t port) noexcept {
  // Published before the port's io and freed a grace period after it.
  return tables_.ports[port].counters.load(std::memory_order_acquire) + place_.index;
}

}  // namespace weir::dataplane
