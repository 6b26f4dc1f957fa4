// A service table with short ways to fill it, for its tests.
#pragma once

#include <gtest/gtest.h>

#include <set>

#include "dataplane/tables/service_table.h"

namespace weir::dataplane {

inline IpAddress address(const char* text) { return *parse_address(text); }

inline api::Backend backend(uint64_t group, const char* text, uint16_t port, uint32_t flags) {
  return {.group = group, .address = address(text), .port = port, .flags = flags};
}
inline constexpr uint32_t kOnly = api::kListFirst | api::kListLast;

inline api::Frontend frontend(const char* text, uint16_t port, uint64_t group) {
  return {.key = {.address = address(text), .port = port, .protocol = kProtoTcp},
          .kind = api::FrontendKind::cluster_ip,
          .group_inside = group,
          .group_outside = group};
}
inline FlowKey packet_to(const char* text, uint16_t port, uint8_t protocol = kProtoTcp) {
  const IpAddress destination = address(text);
  return {.destination = destination.bytes,
          .destination_port = __builtin_bswap16(port),
          .protocol = protocol,
          .family = destination.family};
}

// The routes that the table asks for.
class FakeRoutes : public FrontendAddresses {
 public:
  Status frontend_address_added(const IpAddress& added) override {
    if (refuse) return {ErrorCode::limit, "no room; remove routes"};
    EXPECT_TRUE(there.insert(added).second);
    return {};
  }
  void frontend_address_removed(const IpAddress& removed) override {
    EXPECT_EQ(there.erase(removed), 1U);
  }
  std::set<IpAddress> there;
  bool refuse = false;
};

class ServiceFixture : public testing::Test {
 protected:
  void set(const api::Backend& record) {
    const Status status = table_.set_backend(record);
    ASSERT_TRUE(status) << status.error().text;
  }
  void set(const api::Frontend& record) {
    const Status status = table_.set_frontend(record);
    ASSERT_TRUE(status) << status.error().text;
  }
  void set(const api::PrefixMember& record) {
    const Status status = table_.set_prefix(record);
    ASSERT_TRUE(status) << status.error().text;
  }
  std::vector<api::BackendState> backends(uint64_t group) {
    std::vector<api::BackendState> all;
    static_cast<void>(table_.for_each_backend(
        group, [&](const api::BackendState& state) { all.push_back(state); }));
    return all;
  }

  Rcu rcu_{4};
  BackendPool pool_{rcu_};
  FakeRoutes routes_;
  ServiceTable table_{rcu_, pool_, routes_};
};

}  // namespace weir::dataplane
