#include "tests/control/control_process.h"

#include <net/if.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace weir::control {

namespace {

constexpr std::chrono::seconds kPatience(30);

std::string program() {
  const char* path = std::getenv("WEIR_CONTROL");  // NOLINT(concurrency-mt-unsafe)
  return path == nullptr ? "" : path;
}

// The child's part between fork and exec.
[[noreturn]] void become(const std::string& netns, const std::string& log,
                         const std::string& config) {
  const int space = ::open(netns.c_str(), O_RDONLY | O_CLOEXEC);
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (space < 0 || setns(space, CLONE_NEWNET) != 0 || output < 0) _exit(126);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  const std::string path = program();
  execl(path.c_str(), path.c_str(), "--config", config.c_str(), nullptr);
  _exit(127);
}

}  // namespace

TestNode::TestNode() {
  std::string name = std::filesystem::temp_directory_path() / "weir-node-XXXXXX";
  directory_ = mkdtemp(name.data());
  std::filesystem::create_directory(run_dir());
  config_ = {{"control", {{"metrics", ""}, {"log_level", "debug"}}}};
  dataplane_ = std::make_unique<TableDataplane>(run_dir() + "/dataplane.sock");
  setenv("WEIR_RUN_DIR", run_dir().c_str(), 1);      // NOLINT(concurrency-mt-unsafe)
  setenv("WEIR_STATE_DIR", state_dir().c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
}

TestNode::~TestNode() {
  kill();
  if (testing::Test::HasFailure()) std::fputs(log().c_str(), stderr);
  dataplane_.reset();
  std::filesystem::remove_all(directory_);
}

void TestNode::configure(const cni::Json& patch) { config_.merge_patch(patch); }

void TestNode::start(bool wait) {
  ASSERT_NE(program(), "") << "WEIR_CONTROL must name the program; 'meson test' sets it";
  const std::string file = directory_ / "weir.json";
  std::ofstream(file) << config_.dump();
  const std::string netns = netns_.path();
  const std::string output = directory_ / "log";
  const uint64_t replays = dataplane_->replays();
  pid_ = fork();
  if (pid_ == 0) become(netns, output, file);
  if (!wait) return;
  const auto served = [&] {
    const cni::Reply status = ask("status");
    return !status.error && status.result["dataplane"]["connected"] == true &&
           dataplane_->replays() > replays;
  };
  ASSERT_TRUE(dataplane_->wait(served)) << log();
}

int TestNode::wait_end() {
  int status = -1;
  if (pid_ > 0) waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TestNode::Ended TestNode::run_to_end() {
  std::filesystem::remove(directory_ / "log");
  start(false);
  const int status = wait_end();
  return {status, log()};
}

TestNode::Ended TestNode::terminate() {
  ::kill(pid_, SIGTERM);
  const int status = wait_end();
  return {status, log()};
}

void TestNode::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  wait_end();
}

std::string TestNode::log() const {
  std::ostringstream text;
  text << std::ifstream(directory_ / "log").rdbuf();
  return text.str();
}

cni::Reply TestNode::ask(const std::string& method, const cni::Json& params) const {
  const auto deadline = cni::Clock::now() + kPatience;
  auto client = cni::ControlClient::connect(socket(), deadline);
  if (!client) return {{}, cni::Error{cni::Code::internal, client.error().text, "connect"}};
  auto reply = client->call(method, params, deadline);
  if (!reply) return {{}, cni::Error{cni::Code::internal, reply.error().text, "call"}};
  return *std::move(reply);
}

cni::Json network_config(const cni::Json& patch) {
  cni::Json config{{"cniVersion", "1.0.0"}, {"name", "weir"}, {"type", "weir-cni"}};
  if (patch.is_object()) config.merge_patch(patch);
  return config;
}

cni::Json TestPod::params(const cni::Json& config) const {
  return {{"containerId", id_}, {"netns", path()}, {"ifname", "eth0"},
          {"args", args},       {"path", "/x"},    {"config", network_config(config).dump()}};
}

cni::Reply TestPod::add(const TestNode& node, const cni::Json& config) const {
  return verb(node, "add", config);
}

cni::Reply TestPod::del(const TestNode& node, const cni::Json& config) const {
  return verb(node, "del", config);
}

cni::Reply TestPod::verb(const TestNode& node, const std::string& verb,
                         const cni::Json& config) const {
  return node.ask("cni." + verb, params(config));
}

std::string TestPod::path() const {
  std::string path = netns_.path();
  return path.replace(0, std::string("/proc/self").size(), "/proc/" + std::to_string(getpid()));
}

bool TestPod::has_interface(const std::string& name) const {
  bool there = false;
  const Status looked = netns_.run([&]() -> Status {
    there = if_nametoindex(name.c_str()) != 0;
    return {};
  });
  return looked && there;
}

}  // namespace weir::control
