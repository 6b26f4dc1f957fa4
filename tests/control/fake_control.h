// A weir-control that only talks: one request per connection over cni.sock in `run_dir`.
// Threads: one server thread; seen() may be called any time.
#pragma once

#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/api/codec.h"

namespace weir::test {

class FakeControl {
 public:
  // Raw bytes to send back before hanging up; nullopt = stay silent.
  using Handler = std::function<std::optional<std::string>(const nlohmann::json& request)>;

  FakeControl(const std::string& run_dir, Handler handler);
  ~FakeControl();
  FakeControl(const FakeControl&) = delete;
  FakeControl& operator=(const FakeControl&) = delete;

  std::vector<nlohmann::json> seen();

 private:
  void serve();
  void serve_client(int client);

  Handler handler_;
  std::mutex mutex_;
  std::vector<nlohmann::json> seen_;
  api::Fd listener_;
  api::Fd stop_;
  std::thread thread_;
};

// A whole response frame.
std::string response_frame(const nlohmann::json& body);

}  // namespace weir::test
