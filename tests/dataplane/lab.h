// A dataplane without ports: a small fixed network in which a test pushes one frame
// through the whole pipeline and sees what would be sent and counted.
//
//   port  who      addresses                  MTU   note
//   1     pod A    10.1.0.2, fd00::2          1500
//   2     pod B    10.1.0.3, fd00::3          1400
//   3     host     any (trusted)              1500  routes 192.0.2.0/24 and 2001:db8::/32
//   4     pod C    10.1.0.4, fd00::4          1500  has no gateway addresses
//   5     -        -                                never there; 10.5.0.0/16 points to it
//   6     uplink   203.0.113.1, 2001:db8:51::1      1500  a neighbour of the MAC ..:0f routes
//                                                   203.0.113.0/24 and 2001:db8:51::/48
// Routes: 10.6.0.1 local, 10.7/16 unresolved, 10.8/16 unreachable, 10.9/16 blackhole and
// the same as fd00:6::1, fd00:7::/32, fd00:8::/32, fd00:9::/32. No default route.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/core/pipeline.h"
#include "dataplane/core/segment.h"
#include "dataplane/nodes/connection.h"
#include "dataplane/tables/service_table.h"
#include "tests/dataplane/packet_builder.h"

namespace weir::dataplane::test {

inline constexpr uint16_t kPodA = 1;
inline constexpr uint16_t kPodB = 2;
inline constexpr uint16_t kHost = 3;
inline constexpr uint16_t kPodC = 4;
inline constexpr uint16_t kGone = 5;
inline constexpr uint16_t kUplink = 6;
inline constexpr size_t kLabPorts = 7;
inline constexpr uint64_t kLabTscHz = 1'000'000'000;

struct Outcome {
  std::vector<Bytes> frames;  // as they would leave, in order
  uint16_t out_port = 0;
  std::map<Drop, uint64_t> drops;
  bool settled = false;  // the packet ended in tx or drop
};

class Lab : private FrontendAddresses {
 public:
  // `connections`: room in the connection table. There are no services at first.
  explicit Lab(uint32_t connections = 1024);

  // Puts `frame` before parse as if port `in` had received it, runs all stages, and
  // cuts what they send as for a port that takes no offload.
  Outcome run(const Bytes& frame, uint16_t in = kPodA, const Offload& offload = {},
              TraceSink* trace = nullptr);

  // Fills a packet as a port's rx does: the body in separate heap blocks of `piece`
  // bytes, so that a sanitizer sees any access beyond them.
  void fill(Packet& packet, const Bytes& frame, size_t piece = 100);

  StageContext& context() { return context_; }
  void add_route(std::string_view prefix, const Adjacency& adjacency);
  void empty_icmp_bucket(uint16_t port);
  // The port's buckets begin full; kLabTscHz is their clock.
  void police(uint16_t port, const api::PortLimits& limits);
  ServiceTable& services() { return services_; }
  ConnectionTable& connections() { return connections_; }
  // The main thread's housekeeping; there are no workers to wait for.
  void reap() {
    connections_.reap(context_.ticks);
    rcu_.reclaim();
  }
  Vector& vector() { return *vector_; }
  PipelineCounters& counters() { return counters_; }

 private:
  void add_uplink();
  void add_port(uint16_t index, const PortInfo& info);
  void send(Packet& packet, Outcome& outcome);
  void set_route(const IpPrefix& prefix, uint32_t index);
  Status frontend_address_added(const IpAddress& address) override;
  void frontend_address_removed(const IpAddress& address) override;

  Rcu rcu_{1};
  Fib4 fib4_{rcu_};
  Fib6 fib6_{rcu_};
  Adjacencies adjacencies_{rcu_, 16384};
  BackendPool backends_{rcu_, 1U << 17};
  ConnectionTable connections_;
  ServiceTable services_{rcu_, backends_, *this};
  std::map<IpPrefix, uint32_t> routes_;  // index of each in adjacencies_
  std::unique_ptr<FragmentTable> fragments_ =
      std::make_unique<FragmentTable>(FragmentTable::kSeconds * kLabTscHz);
  std::array<PortInfo, kLabPorts> infos_;
  std::array<std::unique_ptr<PortPolicers>, kLabPorts> policers_;
  std::array<PortCounterBlock, kLabPorts> port_counters_;
  std::vector<PortSlot> slots_ = std::vector<PortSlot>(kLabPorts);
  std::array<TokenBucket, kLabPorts> buckets_{};
  std::unique_ptr<Vector> vector_ = std::make_unique<Vector>();
  std::vector<std::byte> scratch_ = std::vector<std::byte>(kScratchSize * kVectorSize);
  std::array<Segment, kVectorSize> segments_{};
  std::vector<std::unique_ptr<std::byte[]>> bodies_;
  std::vector<std::vector<Segment>> body_segments_;
  PieceScratch pieces_;
  PipelineCounters counters_;
  StageContext context_;
};

// A frame's bytes out of a packet: head, then body.
Bytes bytes_of(const Packet& packet);

}  // namespace weir::dataplane::test
