// Interrupts both ways, and what a hostile peer can do with an eventfd.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "tests/memif/harness.h"

namespace weir::dataplane::memif::test {
namespace {

using namespace std::chrono_literals;

class InterruptsTest : public MemifTest {
 protected:
  void SetUp() override { make_port(config()); }

  static uint16_t flags(RawClient& client, bool to_server) {
    return std::atomic_ref(client.ring(to_server).flags).load();
  }
  static bool raised(int fd, std::chrono::milliseconds wait = 3s) {
    pollfd state{.fd = fd, .events = POLLIN, .revents = 0};
    return poll(&state, 1, static_cast<int>(wait.count())) == 1;
  }
  bool woken(unsigned before) {
    return pump_until([&] { return wakes_.load() > before; });
  }
};

TEST_F(InterruptsTest, ArmedPortWakesItsWorker) {
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  EXPECT_TRUE(rx().empty());
  EXPECT_EQ(flags(client, true), kRingMaskInterrupt);  // polling
  EXPECT_FALSE(port_->arm());
  EXPECT_EQ(flags(client, true), 0);
  for (int i = 0; i < 3; ++i) {  // the counter is never reset; every write counts
    const unsigned before = wakes_;
    eventfd_write(client.eventfd(true), 1);
    EXPECT_TRUE(woken(before));
  }
  port_->disarm();
  EXPECT_EQ(flags(client, true), kRingMaskInterrupt);
  const unsigned before = wakes_;
  eventfd_write(client.eventfd(true), 1);
  loop_->run_once(20ms);
  EXPECT_EQ(wakes_.load(), before);  // a worker that polls needs no wake-ups
  port_->arm();
  eventfd_write(client.eventfd(true), 1);
  EXPECT_TRUE(woken(before));
}

TEST_F(InterruptsTest, ArmSeesWhatIsThereAlready) {
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  ASSERT_TRUE(client.send_frame(make_frame(60)));
  EXPECT_TRUE(port_->arm());
  port_->disarm();
  EXPECT_EQ(rx().size(), 1U);
  EXPECT_FALSE(port_->arm());
}

TEST_F(InterruptsTest, SleepingWorkerLearnsOfANewClient) {
  EXPECT_FALSE(port_->arm());
  RawClient client(options());
  const unsigned before = wakes_;
  ASSERT_TRUE(client.connect(path_));
  EXPECT_GT(wakes_.load(), before);
  // Armed before the client came: its first interrupt counts.
  EXPECT_EQ(flags(client, true), 0);
  const unsigned connected = wakes_;
  eventfd_write(client.eventfd(true), 1);
  EXPECT_TRUE(woken(connected));
}

TEST_F(InterruptsTest, PeerIsInterruptedOnlyWhenItAsks) {
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  tx({make_frame(60)});  // masked
  client.ring(false).flags = 0;
  const int fd = client.eventfd(false);
  tx({make_frame(60)});
  ASSERT_TRUE(raised(fd));
  eventfd_t count = 0;
  eventfd_read(fd, &count);
  EXPECT_EQ(count, 1U);
  port_->flush();  // nothing new
  tx({make_frame(60)});
  ASSERT_TRUE(raised(fd));
  eventfd_read(fd, &count);
  EXPECT_EQ(count, 1U);
}

// The peer made its eventfd blocking and full: a write would wait for ever.
TEST_F(InterruptsTest, FullBlockingEventfdHoldsUpNobody) {
  RawClient bad(options());
  ASSERT_TRUE(bad.connect(path_));
  bad.ring(false).flags = 0;
  ASSERT_EQ(fcntl(bad.eventfd(false), F_SETFL, 0), 0);
  ASSERT_EQ(eventfd_write(bad.eventfd(false), UINT64_MAX - 1), 0);

  api::PortConfig other_config = config();
  const std::string other_path = path_ + "2";
  std::strcpy(other_config.socket_path.data(), other_path.c_str());
  std::atomic<unsigned> other_wakes{0};
  auto other = service_->make_port(other_config, [&] { ++other_wakes; });
  ASSERT_TRUE(other);
  RawClient good(options());
  ASSERT_TRUE(good.connect(other_path));
  (*other)->arm();
  for (int i = 0; i < 20; ++i) {
    tx({make_frame(60)});
    const unsigned before = other_wakes;
    eventfd_write(good.eventfd(true), 1);
    ASSERT_TRUE(pump_until([&] { return other_wakes.load() > before; }));
  }
  other->reset();
}

// Both directions on one eventfd: our own interrupt wakes us at worst.
TEST_F(InterruptsTest, OneEventfdForBothRings) {
  RawClient client(options());
  ASSERT_TRUE(client.open(path_));
  ASSERT_TRUE(client.init());
  ASSERT_TRUE(client.make_memory());
  ASSERT_TRUE(client.add_region(client.memory_fd(), 0, client.memory_size()));
  ASSERT_TRUE(client.add_ring(kRingToServer, 0, client.eventfd(true)));
  ASSERT_TRUE(client.add_ring(0, 0, client.eventfd(true)));
  ASSERT_TRUE(client.say_connect());
  client.refill();
  client.ring(false).flags = 0;
  for (int i = 0; i < 10; ++i) {
    const unsigned before = wakes_;
    port_->arm();
    tx({make_frame(60)});
    EXPECT_TRUE(woken(before));
    port_->disarm();
  }
}

TEST_F(InterruptsTest, FloodIsBounded) {
  RawClient client(options());
  ASSERT_TRUE(client.connect(path_));
  EXPECT_FALSE(port_->arm());
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    while (!stop) eventfd_write(client.eventfd(true), 1);
  });
  const unsigned before = wakes_;
  const auto start = EventLoop::Clock::now();
  while (EventLoop::Clock::now() - start < 300ms) loop_->run_once(10ms);
  const unsigned wakes = wakes_ - before;
  stop = true;
  flood.join();
  EXPECT_GT(wakes, 10U);
  EXPECT_LT(wakes, 512U + 5000U);  // burst and one second's rate
  // It is heard again afterwards.
  const unsigned later = wakes_;
  eventfd_write(client.eventfd(true), 1);
  EXPECT_TRUE(woken(later));
}

TEST(EventfdCheck, KnowsOnlyEventfds) {
  const api::Fd event(eventfd(0, 0));
  EXPECT_TRUE(is_eventfd(event.get()));
  EXPECT_FALSE(is_eventfd(-1));
  EXPECT_FALSE(is_eventfd(0));
}

TEST(DoorbellTest, RaisesManyAndSkipsOtherDescriptors) {
  auto doorbell = Doorbell::create();
  ASSERT_TRUE(doorbell) << doorbell.error().text;
  std::vector<api::Fd> events;
  std::vector<int> numbers{0, -1};
  for (int i = 0; i < 100; ++i) {
    events.emplace_back(eventfd(0, EFD_NONBLOCK));
    numbers.push_back(events.back().get());
    if (i % 7 == 0) numbers.push_back(1 << 20);
  }
  for (eventfd_t round = 1; round <= 3; ++round) doorbell->raise(numbers);
  for (const api::Fd& event : events) {
    eventfd_t count = 0;
    eventfd_read(event.get(), &count);
    EXPECT_EQ(count, 3U);
  }
}

}  // namespace
}  // namespace weir::dataplane::memif::test
