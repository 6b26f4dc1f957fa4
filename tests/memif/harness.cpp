#include "tests/memif/harness.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cstring>

#include "tests/memif/threads.h"

namespace weir::dataplane::memif::test {

size_t open_fds() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

Bytes make_frame(size_t length, uint8_t seed) {
  Bytes frame(length);
  for (size_t i = 0; i < length; ++i) frame[i] = static_cast<std::byte>(i * 31 + seed + i / 251);
  return frame;
}

Bytes bytes_of(const Packet& packet) {
  Bytes frame(packet.data(), packet.data() + packet.head_length);
  for (uint16_t i = 0; i < packet.body_count; ++i) {
    frame.insert(frame.end(), packet.body[i].data, packet.body[i].data + packet.body[i].length);
  }
  return frame;
}

MemifTest::MemifTest() {
  std::string name = (std::filesystem::temp_directory_path() / "weir-memif-XXXXXX").string();
  directory_ = mkdtemp(name.data());
  path_ = directory_ / "pod.sock";
  loop_ = std::move(*EventLoop::create());
  auto service = MemifService::create(*loop_, rcu_);
  EXPECT_TRUE(service) << service.error().text;
  service_ = std::move(*service);
  rcu_.register_worker(kWorker);
  rcu_.online(kWorker);
}

MemifTest::~MemifTest() {
  rcu_.offline(kWorker);
  port_.reset();
  service_.reset();
  std::filesystem::remove_all(directory_);
}

api::PortConfig MemifTest::config() const {
  api::PortConfig config;
  config.key = 1;
  config.kind = api::PortKind::memif;
  config.mtu = 1500;
  std::strcpy(config.name.data(), "test/pod");
  std::strncpy(config.socket_path.data(), path_.c_str(), config.socket_path.size() - 1);
  config.socket_uid = getuid();
  config.socket_gid = getgid();
  return config;
}

void MemifTest::make_port(const api::PortConfig& config) {
  auto port = service_->make_port(config, [this] { ++wakes_; });
  ASSERT_TRUE(port) << port.error().text;
  port_ = std::move(*port);
  fd_baseline_ = open_fds();
}

ClientOptions MemifTest::options() {
  ClientOptions options;
  options.pump = [this] { pump(); };
  return options;
}

void MemifTest::pump() {
  loop_->run_once(std::chrono::milliseconds(0));
  rcu_.quiescent(kWorker);
  rcu_.reclaim();
}

bool MemifTest::pump_until(const std::function<bool()>& done) {
  const auto deadline = EventLoop::Clock::now() + std::chrono::seconds(3);
  while (!done()) {
    if (EventLoop::Clock::now() > deadline) return false;
    loop_->run_once(std::chrono::milliseconds(1));
    rcu_.quiescent(kWorker);
    rcu_.reclaim();
  }
  return true;
}

std::vector<Bytes> MemifTest::rx() {
  DropSink drops(counters_);
  std::vector<Bytes> frames;
  const uint16_t count = port_->rx(vector_->batch(), drops);
  for (uint16_t i = 0; i < count; ++i) {
    // What was put before the snapshot (IP mode) makes the head longer.
    const Packet& packet = vector_->packets[i];
    const uint32_t added = kHeadroom - packet.head_offset;
    EXPECT_EQ(packet.head_length, std::min<uint32_t>(packet.length, kHeadSize + added));
    frames.push_back(bytes_of(vector_->packets[i]));
    EXPECT_EQ(frames.back().size(), vector_->packets[i].length);
  }
  port_->rx_done();
  return frames;
}

std::vector<Drop> MemifTest::tx(const std::vector<Bytes>& frames, uint16_t l3_offset) {
  std::vector<Packet> packets(frames.size());
  std::vector<Segment> bodies(frames.size());
  std::vector<Packet*> pointers;
  for (size_t i = 0; i < frames.size(); ++i) {
    Packet& packet = packets[i];
    packet.length = static_cast<uint32_t>(frames[i].size());
    packet.l3_offset = l3_offset;
    packet.head_length = static_cast<uint16_t>(std::min<size_t>(frames[i].size(), kHeadSize));
    std::memcpy(packet.data(), frames[i].data(), packet.head_length);
    bodies[i] = {frames[i].data() + packet.head_length, packet.length - packet.head_length};
    packet.body = &bodies[i];
    packet.body_count = bodies[i].length > 0 ? 1 : 0;
    pointers.push_back(&packet);
  }
  std::vector<Drop> drops(frames.size(), Drop::count);
  const uint16_t sent = port_->tx(pointers, drops.data());
  EXPECT_EQ(sent, std::count(drops.begin(), drops.end(), Drop::count));
  port_->flush();
  return drops;
}

api::PortState MemifTest::state() const {
  api::PortState state;
  port_->state(state);
  return state;
}

void MemifTest::expect_fd_baseline() {
  EXPECT_TRUE(pump_until([this] { return port_->undisposed() == 0 && open_fds() <= fd_baseline_; }))
      << open_fds() << " descriptors are open, " << fd_baseline_ << " were";
}

pid_t spawn(const std::vector<std::string>& command, api::Fd& output, int input) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  output.reset(ends[0]);
  const api::Fd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  if (input >= 0) posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) pid = -1;
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

}  // namespace weir::dataplane::memif::test
