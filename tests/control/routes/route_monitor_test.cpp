#include "control/netns/route_monitor.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include <cstdlib>
#include <map>

#include "control/netns/netlink.h"
#include "tests/control/test_namespace.h"

namespace weir::control {
namespace {

// What the monitor said of the main table.
class Heard final : public RouteEvents {
 public:
  void route_set(const KernelRoute& route) override {
    if (route.table == RT_TABLE_MAIN) routes_[to_string(route.prefix)] = route;
  }
  void route_gone(const KernelRoute& route) override {
    if (route.table == RT_TABLE_MAIN) routes_.erase(to_string(route.prefix));
  }
  void dump_ended(bool whole) override { whole_dumps_ += whole; }
  void lost() override { ++lost_; }

  std::map<std::string, KernelRoute> routes_;
  int whole_dumps_ = 0;
  int lost_ = 0;
};

// ip(8) in the calling thread's namespace.
void ip(const std::string& arguments) {
  ASSERT_EQ(std::system(("ip " + arguments).c_str()), 0) << arguments;  // NOLINT(concurrency-mt-unsafe)
}

void read_until(RouteMonitor& monitor, Heard& heard, const std::function<bool()>& done) {
  while (!done()) {
    pollfd waiting{.fd = monitor.fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&waiting, 1, 5000), 1) << "the kernel said nothing more";
    for (Result<bool> more = true; more && *more;) more = monitor.read(heard);
  }
}

class RouteMonitorTest : public testing::Test {
 protected:
  void SetUp() override {
    WEIR_NEEDS_NAMESPACES();
    if (std::system("ip -V > /dev/null") != 0) GTEST_SKIP() << "needs ip(8)";
  }
  void inside(const std::function<void(RouteMonitor&, Heard&)>& test) {
    const Status ran = space_.run([&]() -> Status {
      ip("link add wire type veth peer name far");
      ip("link set far up");
      ip("link set wire up");
      ip("address add 192.0.2.1/24 dev wire");
      ip("route add 10.1.0.0/16 via 192.0.2.2 proto bird metric 7");
      Result<RouteMonitor> monitor = RouteMonitor::open();
      if (!monitor) return monitor.error();
      Heard heard;
      test(*monitor, heard);
      return {};
    });
    ASSERT_TRUE(ran) << ran.error().text;
  }

  TestNamespace space_;
};

TEST_F(RouteMonitorTest, DumpsThenFollows) {
  inside([](RouteMonitor& monitor, Heard& heard) {
    ASSERT_TRUE(monitor.request_dump());
    read_until(monitor, heard, [&] { return heard.whole_dumps_ == 1; });
    ASSERT_TRUE(heard.routes_.contains("10.1.0.0/16"));
    const KernelRoute& route = heard.routes_["10.1.0.0/16"];
    EXPECT_EQ(route.protocol, RTPROT_BIRD);
    EXPECT_EQ(route.priority, 7U);
    ASSERT_EQ(route.hops.size(), 1U);
    EXPECT_EQ(to_string(route.hops[0].gateway), "192.0.2.2");
    ip("route add 0.0.0.0/0 proto bird nexthop via 192.0.2.3 weight 2 nexthop via 192.0.2.4");
    read_until(monitor, heard, [&] { return heard.routes_.contains("0.0.0.0/0"); });
    const std::vector<KernelNextHop> hops{{*parse_address("192.0.2.3"), 2}, {*parse_address("192.0.2.4"), 1}};
    EXPECT_EQ(heard.routes_["0.0.0.0/0"].hops, hops);
    ip("route del 10.1.0.0/16");
    read_until(monitor, heard, [&] { return !heard.routes_.contains("10.1.0.0/16"); });
  });
}

TEST_F(RouteMonitorTest, AnInterfaceThatGoesDownAsksForADump) {
  inside([](RouteMonitor& monitor, Heard& heard) {
    ip("link set wire down");
    read_until(monitor, heard, [&] { return heard.lost_ > 0; });
    ASSERT_TRUE(monitor.request_dump());
    read_until(monitor, heard, [&] { return heard.whole_dumps_ == 1; });
    EXPECT_FALSE(heard.routes_.contains("10.1.0.0/16"));
  });
}

}  // namespace
}  // namespace weir::control
