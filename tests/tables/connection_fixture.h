// A connection table with short ways to fill it, for its tests.
#pragma once

#include <gtest/gtest.h>

#include "dataplane/tables/connection_table.h"

namespace weir::dataplane {

inline Ip6Bytes ip4_bytes(uint32_t host_order) { return ip4_address(host_order).bytes; }
inline uint16_t wire_port(unsigned port) { return __builtin_bswap16(static_cast<uint16_t>(port)); }

inline constexpr uint32_t kClient = 0x0a000002;   // 10.0.0.2
inline constexpr uint32_t kVip = 0x0a600001;      // 10.96.0.1
inline constexpr uint32_t kBackend = 0x0a000103;  // 10.0.1.3
inline constexpr uint32_t kMasquerade = 0xc0a80001;

inline FlowKey udp_key(uint32_t source, unsigned source_port, uint32_t destination,
                       unsigned destination_port) {
  return {.source = ip4_bytes(source),
          .destination = ip4_bytes(destination),
          .source_port = wire_port(source_port),
          .destination_port = wire_port(destination_port),
          .protocol = kProtoUdp,
          .family = Family::ip4};
}

class ConnectionFixture : public testing::Test {
 protected:
  using Outcome = ConnectionTable::Outcome;

  explicit ConnectionFixture(uint32_t capacity = 1024)
      : table_(rcu_, pool_, {.capacity = capacity}) {
    rcu_.register_worker(0);
    rcu_.online(0);
    table_.prepare();
    backend_ = add_backend(kBackend);
  }
  ~ConnectionFixture() override {
    rcu_.offline(0);
    rcu_.unregister_worker(0);
  }

  BackendId add_backend(uint32_t address) {
    return *pool_.add(
        1, {.address = ip4_bytes(address), .port = wire_port(8080), .family = Family::ip4});
  }
  // A client's UDP flow to the VIP, by its port.
  NewConnection flow(unsigned client_port, uint32_t client = kClient) const {
    return {.key = udp_key(client, client_port, kVip, 53),
            .backend = pool_.address(backend_).address,
            .backend_port = pool_.address(backend_).port,
            .backend_id = backend_};
  }
  NewConnection tcp_flow(unsigned client_port) const {
    NewConnection wanted = flow(client_port);
    wanted.key.protocol = kProtoTcp;
    wanted.tcp_flags = kTcpSyn;
    return wanted;
  }
  NewConnection masqueraded(unsigned client_port, unsigned first, unsigned last) const {
    NewConnection wanted = flow(client_port);
    wanted.masquerade = ip4_bytes(kMasquerade);
    wanted.masquerade_first = static_cast<uint16_t>(first);
    wanted.masquerade_last = static_cast<uint16_t>(last);
    return wanted;
  }
  ConnectionTable::Match find(const FlowKey& key) { return table_.find(key, table_.hash(key)); }
  Connection& add(const NewConnection& wanted) {
    const auto added = table_.add(0, wanted, now_);
    EXPECT_EQ(added.outcome, Outcome::added);
    return *added.connection;
  }
  // Visits every record once; what ended waits for pass_grace().
  void reap() { table_.reap(now_, UINT32_MAX); }
  void pass_grace() {
    rcu_.quiescent(0);
    rcu_.reclaim();
  }
  void advance(uint32_t seconds) { now_ += seconds * kTicksPerSecond; }

  Rcu rcu_{1};
  BackendPool pool_{rcu_};
  ConnectionTable table_;
  BackendId backend_ = kNoBackend;
  Ticks now_ = UINT32_MAX - 50;  // wraps soon
};

}  // namespace weir::dataplane
