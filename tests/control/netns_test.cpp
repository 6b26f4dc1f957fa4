#include <net/if.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "control/netns/host_link.h"
#include "control/netns/pod_link.h"
#include "tests/control/test_namespace.h"

namespace weir::control {
namespace {

std::string text(const Status& status) { return status ? "" : status.error().text; }

IpAddress address(const char* from) { return *parse_address(from); }

PodLink pod_link(uint64_t key = 7) {
  PodLink link;
  link.ifname = "eth0";
  link.key = key;
  link.mac = MacAddress{{6, 0x77, 0, 0, 0, static_cast<uint8_t>(key)}};
  link.mtu = 1450;
  link.addresses = {address("10.244.0.9"), address("fd00:10:244::9")};
  link.gateway4 = address("10.244.0.1");
  link.gateway6 = address("fd00:10:244::1");
  link.routes = {{.prefix = *parse_prefix("0.0.0.0/0")}, {.prefix = *parse_prefix("::/0")}};
  return link;
}

class NetnsTest : public testing::Test {
 protected:
  void SetUp() override { WEIR_NEEDS_NAMESPACES(); }
  TestNamespace space_;
};

TEST_F(NetnsTest, RunsInTheNamespaceAndLeavesTheCallerAlone) {
  const Result<NamespaceId> before = own_namespace();
  const Result<Namespace> space = Namespace::open(space_.path());
  ASSERT_TRUE(before && space);
  NamespaceId inside;
  ASSERT_EQ(text(space->run([&]() -> Status {
              inside = *own_namespace();
              return {};
            })),
            "");
  EXPECT_EQ(inside, space->id());
  EXPECT_FALSE(inside == *before);
  EXPECT_EQ(*own_namespace(), *before);
}

TEST_F(NetnsTest, RefusesWhatIsNoNetworkNamespace) {
  const auto directory =
      std::filesystem::temp_directory_path() / ("weir-netns-" + std::to_string(getpid()));
  std::filesystem::create_directory(directory);
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  std::ofstream(directory / "file") << "text";
  EXPECT_EQ(Namespace::open(fifo).error().code, ErrorCode::invalid_argument);  // and does not block
  EXPECT_EQ(Namespace::open(directory / "file").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(Namespace::open(directory).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(Namespace::open("/proc/self/ns/mnt").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(Namespace::open(directory / "none").error().code, ErrorCode::not_found);
  std::filesystem::remove_all(directory);
}

TEST_F(NetnsTest, MakesALinkWithAddressesAndRoutes) {
  const PodLink link = pod_link();
  api::Fd tap;
  const Status done = space_.run([&]() -> Status {
    Result<api::Fd> made = create_link(link);
    if (!made) return made.error();
    tap = *std::move(made);
    if (const Status up = loopback_up(); !up) return up;
    return configure_link(link);
  });
  ASSERT_EQ(text(done), "");
  const Status checked = space_.run([&]() -> Status {
    Result<Netlink> netlink = Netlink::open();
    const std::optional<Link> found = *netlink->find_link("eth0");
    EXPECT_TRUE(found && found->up);
    EXPECT_EQ(found->mac, link.mac);
    EXPECT_EQ(found->mtu, 1450U);
    EXPECT_EQ(found->alias, "weir:7");
    EXPECT_TRUE((*netlink->find_link("lo"))->up);
    size_t leased = 0;
    const std::vector<LinkAddress> addresses = *netlink->addresses(found->index);
    for (const LinkAddress& there : addresses) {
      leased += there.length == there.address.bits() &&
                std::ranges::find(link.addresses, there.address) != link.addresses.end();
    }
    EXPECT_EQ(leased, 2U);
    EXPECT_EQ(netlink->routes(found->index)->size(), 4U);  // two gateways, two defaults
    return {};
  });
  EXPECT_EQ(text(checked), "");
  EXPECT_EQ(text(space_.run([&] { return configure_link(link); })), "");  // may be repeated
}

TEST_F(NetnsTest, SwitchesIp6OnForALease) {
  const Status done = space_.run([&]() -> Status {
    std::ofstream("/proc/sys/net/ipv6/conf/default/disable_ipv6") << "1";
    const PodLink link = pod_link();
    const Result<api::Fd> made = create_link(link);
    if (!made) return made.error();
    return configure_link(link);
  });
  EXPECT_EQ(text(done), "");
}

TEST_F(NetnsTest, TheFirstOwnerKeepsAName) {
  const Status done = space_.run([&]() -> Status {
    const Result<api::Fd> first = create_link(pod_link(7));
    if (!first) return first.error();
    const Result<api::Fd> second = create_link(pod_link(8));
    EXPECT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::exists);
    EXPECT_EQ(text(remove_link(pod_link(8))), "");  // not its own: left alone
    EXPECT_TRUE(*link_exists(pod_link(7)));
    EXPECT_EQ(text(remove_link(pod_link(7))), "");
    EXPECT_EQ(text(remove_link(pod_link(7))), "");
    EXPECT_FALSE(*link_exists(pod_link(7)));
    return {};
  });
  EXPECT_EQ(text(done), "");
}

TEST_F(NetnsTest, AttachesAgainOnceTheOldHolderIsGone) {
  const PodLink link = pod_link();
  const Status done = space_.run([&]() -> Status {
    EXPECT_EQ(attach_link(link).error().code, ErrorCode::not_found);
    {
      const Result<api::Fd> made = create_link(link);
      if (!made) return made.error();
      EXPECT_EQ(attach_link(link).error().code, ErrorCode::busy);
    }
    const Result<api::Fd> again = attach_link(link);
    return again ? Status{} : Status{again.error()};
  });
  EXPECT_EQ(text(done), "");
}

TEST_F(NetnsTest, AFailureWhileMakingALinkLeavesNothing) {
  PodLink link = pod_link();
  link.mtu = 40;  // below what the kernel takes
  const Status done = space_.run([&]() -> Status {
    EXPECT_FALSE(create_link(link));
    EXPECT_EQ(if_nametoindex("eth0"), 0U);
    return {};
  });
  EXPECT_EQ(text(done), "");
}

TEST_F(NetnsTest, KeepsTheHostLinkInStepWithTheConfiguration) {
  HostLink host;
  host.link = pod_link(1);
  host.link.ifname = "weir0";
  host.pod_prefixes = {*parse_prefix("10.244.0.0/24"), *parse_prefix("fd00:10:244::/64")};
  const Status done = space_.run([&]() -> Status {
    const Result<api::Fd> made = ensure_host_link(host);
    if (!made) return made.error();
    EXPECT_TRUE(*made);
    host.link.addresses[0] = address("10.244.9.2");
    host.link.gateway4 = address("10.244.9.1");
    host.pod_prefixes[0] = *parse_prefix("10.244.9.0/24");
    const Result<api::Fd> again = ensure_host_link(host);
    if (!again) return again.error();
    EXPECT_FALSE(*again);  // was there
    Result<Netlink> netlink = Netlink::open();
    const int index = (*netlink->find_link("weir0"))->index;
    const std::vector<LinkRoute> routes = *netlink->routes(index);
    EXPECT_EQ(routes.size(), 2U);
    for (const LinkRoute& route : routes) {
      EXPECT_EQ(route.source, host.link.addresses[route.prefix.address.is_ip4() ? 0 : 1]);
    }
    const std::vector<LinkAddress> addresses = *netlink->addresses(index);
    for (const LinkAddress& there : addresses) {
      EXPECT_NE(there.address, address("10.244.0.9"));
    }
    return {};
  });
  EXPECT_EQ(text(done), "");
}

TEST_F(NetnsTest, TheHostLinkTakesNobodysPlace) {
  HostLink host;
  host.link = pod_link(1);
  host.pod_prefixes = {*parse_prefix("10.244.0.0/24")};
  const Status done = space_.run([&]() -> Status {
    const Result<api::Fd> other = create_link(pod_link(9));
    if (!other) return other.error();
    EXPECT_EQ(ensure_host_link(host).error().code, ErrorCode::exists);
    if (const Status configured = configure_link(pod_link(9)); !configured) return configured;
    Result<Netlink> netlink = Netlink::open();
    const int index = (*netlink->find_link("eth0"))->index;
    const Status taken = netlink->add_route({.prefix = host.pod_prefixes[0], .link = index});
    if (!taken) return taken;
    host.link.ifname = "weir0";
    const Result<api::Fd> refused = ensure_host_link(host);
    EXPECT_EQ(refused.error().code, ErrorCode::exists);
    EXPECT_NE(refused.error().text.find("10.244.0.0/24"), std::string::npos);
    return {};
  });
  EXPECT_EQ(text(done), "");
}

TEST_F(NetnsTest, AnOrphanedHostLinkGoesAndAStrangersStays) {
  const Status done = space_.run([&]() -> Status {
    const PodLink link = pod_link(9);
    const Result<api::Fd> orphan = create_link(link);
    if (!orphan) return orphan.error();
    Result<Netlink> netlink = Netlink::open();
    const int index = (*netlink->find_link("eth0"))->index;
    if (const Status set = netlink->set_identity(index, "a stranger's", link.mac, 1500); !set)
      return set;
    if (const Status left = remove_orphaned_link("eth0"); !left) return left;
    EXPECT_TRUE(netlink->find_link("eth0")->has_value());
    if (const Status set = netlink->set_identity(index, link_alias(9), link.mac, 1500); !set)
      return set;
    if (const Status removed = remove_orphaned_link("eth0"); !removed) return removed;
    EXPECT_FALSE(netlink->find_link("eth0")->has_value());
    return remove_orphaned_link("eth0");
  });
  EXPECT_EQ(text(done), "");
}

}  // namespace
}  // namespace weir::control
