// DPDK's own memif client against the port: testpmd generates flows, the worker sends
// them back. Needs no root and no hugepages.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/memif/threads.h"

namespace weir::dataplane::memif::test {
namespace {

constexpr const char* kTestpmd = "/usr/bin/dpdk-testpmd";

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> part{};
  ssize_t got = 0;
  while ((got = read(fd, part.data(), part.size())) > 0)
    text.append(part.data(), static_cast<size_t>(got));
  return text;
}

// testpmd's last statistics come under "Accumulated": "RX-packets: 39200  ...".
uint64_t count_in(const std::string& output, const std::string& name) {
  const size_t totals = output.find("Accumulated");
  if (totals == std::string::npos) return 0;
  const size_t found = output.find(name + "-packets:", totals);
  if (found == std::string::npos) return 0;
  return std::strtoull(output.c_str() + found + name.size() + 9, nullptr, 10);
}

class Interop : public Threads {};

TEST_F(Interop, DpdkTestpmd) {
  if (access(kTestpmd, X_OK) != 0)
    GTEST_SKIP() << "needs " << kTestpmd << " (Debian package dpdk-dev)";
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "testpmd needs two processors";
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const api::Fd stdin_read(ends[0]);
  api::Fd stdin_write(ends[1]);
  setenv("RUNTIME_DIRECTORY", directory_.c_str(), 1);  // where EAL keeps its files
  api::Fd output;
  const pid_t pid = spawn(
      {kTestpmd, "-l", "0,1", "--no-huge", "-m", "128", "--no-pci", "--no-shconf", "--no-telemetry",
       "--vdev=net_memif0,role=client,socket=" + path_ + ",socket-abstract=no", "--",
       "--total-num-mbufs=4096", "--forward-mode=flowgen", "--no-lsc-interrupt"},
      output, stdin_read.get());
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(run_main_until([this] { return state().link == api::LinkState::up; }));
  EXPECT_NE(std::string(state().peer_name.data()).find("DPDK"), std::string::npos)
      << state().peer_name.data();
  EXPECT_TRUE(run_main_until([this] { return worker_->frames() > 20000; })) << worker_->frames();
  EXPECT_EQ(state().link, api::LinkState::up) << detail();
  // Enter ends it; a client that hangs is killed.
  [[maybe_unused]] const ssize_t told = write(stdin_write.get(), "\n", 1);
  stdin_write.reset();
  int status = 0;
  const bool ended = run_main_until([&] { return waitpid(pid, &status, WNOHANG) == pid; });
  if (!ended) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  const std::string text = read_all(output.get());
  EXPECT_TRUE(ended) << text;
  EXPECT_GT(count_in(text, "TX"), 20000U) << text;
  EXPECT_GT(count_in(text, "RX"), 10000U) << text;
  RecordProperty("rx_packets", std::to_string(count_in(text, "RX")));
  EXPECT_TRUE(run_main_until([this] { return state().link == api::LinkState::down; }));
}

}  // namespace
}  // namespace weir::dataplane::memif::test
