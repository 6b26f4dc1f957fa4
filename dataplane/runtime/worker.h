// A worker: one pinned thread that polls its ports and carries packets, a vector at a
// time, through the stages.
//
// Thread safety: run() is the worker thread; everything else is the main thread's
// unless it says otherwise. The two share atomics, the counters (one writer each) and
// two single-producer queues: commands to the worker, trace records back.
// Invariants: a port's rx side belongs to one worker; what the worker loaded from a
// published pointer lives until its next quiescent state, at the end of each sweep.
#pragma once

#include <array>
#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/core/node_memory.h"
#include "dataplane/core/pipeline.h"
#include "dataplane/core/rcu.h"
#include "dataplane/core/segment.h"
#include "dataplane/runtime/handoff.h"
#include "dataplane/runtime/poll_list.h"
#include "dataplane/runtime/trace.h"

namespace weir::dataplane {

// What all workers share.
struct SharedTables {
  PortSlot* ports = nullptr;  // kMaxPorts slots
  const Fib4* fib4 = nullptr;
  const Fib6* fib6 = nullptr;
  const Adjacencies* adjacencies = nullptr;
  ConnectionTable* connections = nullptr;
  const ServiceTable* services = nullptr;
  const BackendPool* backends = nullptr;
};

inline constexpr size_t kMainHandoff = 1U << 18;  // bytes each way between a worker and the main thread

struct WorkerPlace {
  uint32_t index = 0;
  uint32_t core = 0;
  int numa_node = -1;
  bool hugepages = false;
};

struct WorkerCounters {
  Counter sweeps;
  Counter vectors;
  Counter packets;
  Counter busy_cycles;
  Counter sleeps;
  Counter handoffs;
  StageCounters rx;
  PipelineCounters pipeline;
  StageCounters tx;
};

class Worker {
 public:
  static Result<std::unique_ptr<Worker>> make(const WorkerPlace& place, const SharedTables& tables, Rcu& rcu);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // All workers, this one included, in order of index. Once, before run().
  void meet(std::span<Worker* const> workers);
  void run() noexcept;          // until stop(); the worker thread
  bool sweep() noexcept;        // one round of run(); false when there was nothing to do
  void stop() noexcept;         // any thread
  void wake() noexcept;         // any thread: ends a sleep soon

  // The port is already published in the port table.
  Status attach(uint16_t index, Port& port);
  // After this and a grace period the worker does not touch the port any more.
  void detach(uint16_t index, Port& port);
  void trace(const api::TraceFilter& filter);
  void read_trace(std::vector<api::TraceRecord>& records);
  // What the pipeline sent to the main thread since the last call, with its adjacency word:
  // visit(const Packet&, uint64_t). The packets are gone when it returns.
  template <class F>
  void read_punted(F&& visit);
  // Puts a packet into the pipeline at the route stage; one without a family goes out of its
  // out_port as it is, if that is still the port with `key`. false: no room. send_injected()
  // makes packets visible to the worker.
  bool inject(const Packet& packet, uint64_t key) { return injected_.push(packet, key); }
  void send_injected();
  void state(api::WorkerState& state) const;

  const WorkerPlace& place() const noexcept { return place_; }
  bool hugepages() const noexcept { return memory_.huge(); }

 private:
  struct RxList {  // immutable once published
    uint64_t number = 0;  // of its version
    std::vector<uint16_t> ports;
  };
  using TxDrops = std::array<Drop, kVectorSize>;

  Worker(const WorkerPlace& place, const SharedTables& tables, Rcu& rcu);

  void sweep_polled() noexcept;
  void sweep_waiting(uint64_t now) noexcept;
  void sweep_handoffs() noexcept;
  void forget(uint16_t port) noexcept;
  bool collect(uint16_t port) noexcept;  // whether there was a packet
  void process() noexcept;
  void carry() noexcept;
  void sweep_injected() noexcept;
  bool take_injected(uint8_t index) noexcept;
  void punt() noexcept;
  void transmit() noexcept;
  void send(uint16_t out_port, std::span<Packet* const> packets) noexcept;
  void send_plain(PortSlot& slot, Port& port, std::span<Packet* const> packets) noexcept;
  uint64_t settle_tx(std::span<Packet* const> packets, const TxDrops& drops) noexcept;
  void send_pieces(PortSlot& slot, Port& port, Packet& packet) noexcept;
  void hand_over(uint32_t owner, uint64_t key, std::span<Packet* const> packets) noexcept;
  void drop_tx(Packet& packet, Drop reason) noexcept;
  size_t vector_index(const Packet& packet) const noexcept;  // SIZE_MAX: a piece or another worker's
  void flush() noexcept;
  void idle() noexcept;
  void sleep() noexcept;
  bool arm() noexcept;
  void run_commands() noexcept;
  PortCounterBlock* counters(uint16_t port) noexcept;
  void publish(std::vector<uint16_t> ports);

  WorkerPlace place_;
  SharedTables tables_;
  Rcu& rcu_;
  NodeMemory memory_;
  api::Fd epoll_;
  api::Fd wake_fd_;
  std::atomic<bool> stopped_{false};      // written by any thread, read by the worker
  std::atomic<bool> sleeping_{false};     // written by the worker, read by any thread
  std::atomic<const RxList*> rx_list_;    // written by the main thread, read by the worker
  std::atomic<uint32_t> port_count_{0};   // main thread
  std::atomic<uint32_t> waiting_ports_{0};  // in epoll_; written by the main thread, read by the worker
  std::vector<Handoff*> inbound_;         // by sending worker; nullptr for itself
  std::vector<Handoff*> outbound_;        // by receiving worker
  std::vector<std::unique_ptr<Handoff>> owned_;
  Handoff punted_{kMainHandoff};    // to the main thread
  Handoff injected_{kMainHandoff};  // from it
  std::vector<Worker*> workers_;
  boost::lockfree::spsc_queue<api::TraceFilter, boost::lockfree::capacity<64>> commands_;

  // Worker thread only.
  Vector* vector_;
  StageContext context_;
  std::byte* buffers_;
  Segment* rx_segments_;
  PieceScratch* pieces_;
  PollList polls_;
  uint64_t polled_ = 0;  // number of the list that polls_ was made of
  std::array<Port*, kVectorSize> sources_;
  uint16_t source_count_ = 0;
  std::array<Port*, kVectorSize * 2> unflushed_;
  uint16_t unflushed_count_ = 0;
  uint64_t handed_over_ = 0;  // bit a worker (modulo 64) that got frames since the last flush
  uint64_t next_waiting_ = 0;  // TSC
  bool found_ = false;
  uint64_t idle_since_ = 0;
  int longest_sleep_ = 0;  // milliseconds, by what arm() saw
  TraceRecorder recorder_;
  WorkerCounters counters_;
};

template <class F>
void Worker::read_punted(F&& visit) {
  if (punted_.empty()) return;
  Packet packet;
  Segment segment;
  uint64_t word = 0;
  while (punted_.peek(packet, segment, word)) visit(std::as_const(packet), word);
  punted_.release();
}

}  // namespace weir::dataplane
