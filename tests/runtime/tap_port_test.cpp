// The kernel port against a real tap device in a network namespace of its own.
#include "dataplane/ports/kernel/host_port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "dataplane/core/checksum.h"
#include "dataplane/core/node_memory.h"

namespace weir::dataplane {
namespace {

constexpr char kGatewayNeighbour[] = "02:77:65:69:72:01";

void run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

api::Fd open_tap(short flags) {
  api::Fd tap(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ifreq request{};
  request.ifr_flags = flags;
  std::strcpy(request.ifr_name, "eth0");
  EXPECT_EQ(ioctl(tap.get(), TUNSETIFF, &request), 0) << strerror(errno);
  return tap;
}

class TapPortTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "needs root and /dev/net/tun";
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    device_ = open_tap(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    auto port = TapPort::make(api::Fd(dup(device_.get())));
    ASSERT_TRUE(port) << port.error().text;
    port_ = *std::move(port);
    run("ip link set lo up; ip addr add 10.9.0.5/32 dev eth0; ip link set eth0 up mtu 9000;"
        "ip route add 10.9.0.1 dev eth0; ip route add default via 10.9.0.1;"
        "ip neigh add 10.9.0.1 lladdr " + std::string(kGatewayNeighbour) + " dev eth0 nud permanent");
    socket_.reset(socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(7);
    ASSERT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
  }

  void send_datagram(size_t bytes) {
    const std::string payload(bytes, 'p');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    inet_pton(AF_INET, "10.9.0.99", &to.sin_addr);
    ASSERT_EQ(sendto(socket_.get(), payload.data(), bytes, 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(bytes));
  }
  // The next IPv4 frame; the kernel also sends router solicitations and the like.
  Packet* receive() {
    while (true) {
      pollfd wait{.fd = port_->poll_fd(), .events = POLLIN, .revents = 0};
      if (poll(&wait, 1, 10000) != 1) return nullptr;
      DropSink drops(counters_);
      if (port_->rx({{&packet_, 1}, {segments_.data(), segments_.size()}, memory_.data(), 66 * 1024}, drops) != 1) continue;
      if (packet_.header<EthernetHeader>(0)->ethertype.host() == kEtherIp4) return &packet_;
    }
  }

  api::Fd device_;
  std::unique_ptr<Port> port_;
  api::Fd socket_;
  Packet packet_;
  std::array<Segment, kMaxSegments> segments_;
  NodeMemory memory_{66 * 1024, -1, false};
  PortCounterBlock counters_;
};

TEST_F(TapPortTest, ReceivesWithTheChecksumLeftToIt) {
  send_datagram(2000);
  Packet* packet = receive();
  ASSERT_NE(packet, nullptr);
  EXPECT_EQ(packet->length, 2000U + 8 + 20 + 14);
  EXPECT_EQ(packet->head_length, kHeadSize);
  EXPECT_EQ(packet->body_count, 1);
  EXPECT_EQ(packet->body[0].length, packet->length - kHeadSize);
  EXPECT_EQ(static_cast<char>(packet->body[0].data[0]), 'p');
  EXPECT_EQ(to_string(packet->header<EthernetHeader>(0)->destination), kGatewayNeighbour);
  EXPECT_TRUE(packet->offload.partial_checksum);
  EXPECT_EQ(packet->offload.checksum_start, 34);
  EXPECT_EQ(packet->offload.checksum_offset, 6);
}

TEST_F(TapPortTest, SendsHeadAndBodyAsOneFrame) {
  send_datagram(3000);
  Packet* packet = receive();
  ASSERT_NE(packet, nullptr);
  // Turned round, so that the kernel takes it.
  auto* ethernet = packet->header<EthernetHeader>(0);
  ethernet->destination = ethernet->source;
  ethernet->source = kGatewayMac;
  auto* ip = packet->header<Ip4Header>(14);
  std::swap(ip->source, ip->destination);
  auto* udp = packet->header<UdpHeader>(34);
  udp->destination.set(7);
  packet->l4_offset = 34;
  Drop drop = Drop::count;
  Packet* one = packet;
  EXPECT_EQ(port_->tx({&one, 1}, &drop), 1);
  EXPECT_EQ(drop, Drop::count);
  pollfd wait{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&wait, 1, 10000), 1);
  std::string received(4000, 0);
  EXPECT_EQ(recv(socket_.get(), received.data(), received.size(), 0), 3000);
}

TEST_F(TapPortTest, TheKernelGetsNothingTwice) {
  PortInfo uplink{.kernel_hears = true};
  PortInfo pod;
  std::array<PortSlot, 2> slots;
  slots[0].info = &uplink;
  slots[1].info = &pod;
  port_ = *HostPort::make(api::Fd(dup(device_.get())), slots.data());
  send_datagram(10);
  ASSERT_NE(receive(), nullptr);
  Packet served = packet_;
  served.translated = true;
  Packet pods = packet_;
  pods.in_port = 1;
  std::array<Packet*, 3> frames{&packet_, &served, &pods};
  std::array<Drop, 3> drops;
  drops.fill(Drop::count);
  EXPECT_EQ(port_->tx(frames, drops.data()), 2);
  EXPECT_EQ(drops, (std::array{Drop::tx_kernel_has_it, Drop::count, Drop::count}));
}

TEST_F(TapPortTest, NamesWhyTheKernelDidNotTakeAFrame) {
  send_datagram(10);
  Packet* packet = receive();
  ASSERT_NE(packet, nullptr);
  Drop drop = Drop::count;
  Packet* one = packet;
  Packet runt = *packet;
  runt.length = runt.head_length = 4;
  runt.body_count = 0;
  runt.offload = {};
  Packet* short_frame = &runt;
  EXPECT_EQ(port_->tx({&short_frame, 1}, &drop), 0);
  EXPECT_EQ(drop, Drop::tx_kernel_refused);
  run("ip link set eth0 down");
  EXPECT_EQ(port_->tx({&one, 1}, &drop), 0);
  EXPECT_EQ(drop, Drop::tx_port_down);
}

TEST_F(TapPortTest, SaysWhenThePodDeletedItsInterface) {
  api::PortState state;
  port_->state(state);
  EXPECT_EQ(state.link, api::LinkState::up);
  run("ip link del eth0");
  port_->state(state);
  EXPECT_EQ(state.link, api::LinkState::down);
  EXPECT_NE(api::get_text(state.detail), "");
}

TEST(TapPort, RefusesDescriptorsThatAreNoSuitableTap) {
  EXPECT_EQ(TapPort::make(api::Fd(open("/dev/null", O_RDWR))).error().code, ErrorCode::invalid_argument);
  if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "needs root and /dev/net/tun";
  ASSERT_EQ(unshare(CLONE_NEWNET), 0);
  EXPECT_EQ(TapPort::make(open_tap(IFF_TAP | IFF_NO_PI)).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(TapPort::make(open_tap(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace weir::dataplane
