// The main thread's side of a worker.
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/runtime/worker.h"

namespace weir::dataplane {

void Worker::publish(std::vector<uint16_t> ports) {
  const RxList* old = rx_list_.load(std::memory_order_relaxed);  // this thread alone writes it
  rx_list_.store(new RxList{old->number + 1, std::move(ports)}, std::memory_order_release);
  rcu_.retire_delete(old);
}

Status Worker::attach(uint16_t index, Port& port) {
  if (port.poll_fd() >= 0) {
    epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, port.poll_fd(), &event) != 0) {
      return errno_error("cannot watch the port's descriptor", errno);
    }
    waiting_ports_.fetch_add(1, std::memory_order_relaxed);  // the worker looks now and then
    wake();
  } else {
    std::vector<uint16_t> ports = rx_list_.load(std::memory_order_relaxed)->ports;
    ports.push_back(index);
    publish(std::move(ports));
    wake();
  }
  port_count_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

void Worker::detach(uint16_t index, Port& port) {
  if (port.poll_fd() >= 0) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, port.poll_fd(), nullptr);
    waiting_ports_.fetch_sub(1, std::memory_order_relaxed);
  } else {
    std::vector<uint16_t> ports = rx_list_.load(std::memory_order_relaxed)->ports;
    std::erase(ports, index);
    publish(std::move(ports));
  }
  port_count_.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::trace(const api::TraceFilter& filter) {
  commands_.push(filter);
  wake();
}

void Worker::send_injected() {
  if (injected_.empty() && !injected_.has_pending()) return;
  injected_.publish();
  wake();
}

void Worker::read_trace(std::vector<api::TraceRecord>& records) { recorder_.read(records); }

namespace {

void add_stage(api::WorkerState& state, std::string_view name, const StageCounters& counters) {
  if (state.stage_count == state.stages.size()) return;
  api::StageState& stage = state.stages[state.stage_count++];
  api::set_text(stage.name, name);
  stage.packets = counters.packets.get();
  stage.vectors = counters.vectors.get();
  stage.cycles = counters.cycles.get();
}

}  // namespace

void Worker::state(api::WorkerState& state) const {
  state.index = place_.index;
  state.core = place_.core;
  state.numa_node = place_.numa_node;
  state.ports = port_count_.load(std::memory_order_relaxed);
  const bool sleeping = sleeping_.load(std::memory_order_relaxed);  // a snapshot for people
  state.mode = sleeping ? api::WorkerMode::sleeping : api::WorkerMode::polling;
  state.sweeps = counters_.sweeps.get();
  state.vectors = counters_.vectors.get();
  state.packets = counters_.packets.get();
  state.busy_cycles = counters_.busy_cycles.get();
  state.sleeps = counters_.sleeps.get();
  state.handoffs = counters_.handoffs.get();
  add_stage(state, "rx", counters_.rx);
  for (size_t i = 0; i < kStageCount; ++i) {
    if (static_cast<Next>(i) == Next::tx || static_cast<Next>(i) == Next::punt) continue;
    add_stage(state, kStageNames[i], counters_.pipeline[i]);
  }
  add_stage(state, "tx", counters_.tx);
}

}  // namespace weir::dataplane
