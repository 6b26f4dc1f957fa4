// A weir-control process in a network namespace of its own, and what a test asks it.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <filesystem>
#include <string>

#include "cni/control_client.h"
#include "tests/control/table_dataplane.h"
#include "tests/control/test_namespace.h"

namespace weir::control {

// Directories, configuration and a dataplane without forwarding; gone with the object.
class TestNode {
 public:
  TestNode();
  ~TestNode();
  TestNode(const TestNode&) = delete;
  TestNode& operator=(const TestNode&) = delete;

  // Merged into the configuration file.
  void configure(const cni::Json& patch);
  // Starts the program and waits until it serves and the dataplane is ready; `wait`
  // false: only starts it.
  void start(bool wait = true);
  // Runs until it ends by itself: exit status and what it wrote.
  struct Ended {
    int status = -1;
    std::string output;
  };
  Ended run_to_end();
  Ended terminate();  // SIGTERM
  void kill();        // SIGKILL
  void signal(int number) const { ::kill(pid_, number); }
  bool running() const { return pid_ > 0; }

  // One request; a fresh connection each time. Safe from several threads.
  cni::Reply ask(const std::string& method, const cni::Json& params = cni::Json::object()) const;
  std::string log() const;

  std::string run_dir() const { return directory_ / "run"; }
  std::string state_dir() const { return directory_ / "state"; }
  std::string socket() const { return run_dir() + "/cni.sock"; }

  TableDataplane& dataplane() { return *dataplane_; }
  const TestNamespace& netns() const { return netns_; }

 private:
  int wait_end();

  std::filesystem::path directory_;
  cni::Json config_;
  TestNamespace netns_;
  std::unique_ptr<TableDataplane> dataplane_;
  pid_t pid_ = -1;
};

// A pod's namespace and its requests.
class TestPod {
 public:
  explicit TestPod(std::string container_id) : id_(std::move(container_id)) {}

  cni::Reply add(const TestNode& node, const cni::Json& config = {}) const;
  cni::Reply del(const TestNode& node, const cni::Json& config = {}) const;
  cni::Reply verb(const TestNode& node, const std::string& verb, const cni::Json& config) const;
  cni::Json params(const cni::Json& config) const;

  // As another process sees it.
  std::string path() const;
  bool has_interface(const std::string& name = "eth0") const;
  const std::string& id() const noexcept { return id_; }
  TestNamespace& netns() { return netns_; }

  std::string args;  // CNI_ARGS

 private:
  std::string id_;
  TestNamespace netns_;
};

// "version": 1.0.0 unless `patch` says otherwise.
cni::Json network_config(const cni::Json& patch = {});

}  // namespace weir::control
