// The dataplane's API with a peer that sends anything. Every request gets one answer that
// the codec takes, or the connection ends; the server serves the next peer; and what was
// set goes again with a sweep, down to the last object and descriptor.
//
// Input: requests until it ends, each a Script, then its body.
#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "dataplane/api/codec.h"
#include "dataplane/runtime/api_server.h"
#include "tests/fuzz/input.h"

namespace weir::fuzz {
namespace {

using namespace weir::dataplane;

#pragma pack(push, 1)
struct Script {
  uint8_t flags;
  uint8_t type;
  uint16_t count;
  uint16_t record_size;
  uint8_t descriptors;
  uint16_t body_length;
};
#pragma pack(pop)

// Script::flags
constexpr uint8_t kRaw = 1;           // the body is the whole message, header included
constexpr uint8_t kCountAsSized = 2;  // count follows from the body's length
constexpr uint8_t kHangUp = 4;        // the peer leaves without reading the answer

// Paths lie in the fuzzer's directory, whatever the input says: a port's socket is made
// and removed there as root.
void confine_paths(std::string& body, size_t record_size, const std::string& directory) {
  constexpr size_t kPath = offsetof(api::PortConfig, socket_path);
  constexpr size_t kRoom = sizeof(api::PortConfig::socket_path);
  if (record_size <= kPath) return;
  for (size_t at = kPath; at < body.size(); at += record_size) {
    const size_t end = std::min({body.size(), at + kRoom, at + record_size - kPath});
    for (size_t i = at; i < end; ++i) {
      if (body[i] == '/') body[i] = '_';
    }
    for (size_t i = 0; i < directory.size() && at + i < end; ++i) body[at + i] = directory[i];
  }
}

class Server {
 public:
  Server() {
    spdlog::set_level(spdlog::level::off);
    std::string name = (std::filesystem::temp_directory_path() / "weir-fuzz-XXXXXX").string();
    WEIR_INVARIANT(mkdtemp(name.data()) != nullptr);
    directory_ = name;
    std::filesystem::create_directory(pods());
    loop_ = *EventLoop::create();
    auto dataplane = Dataplane::make({.cores = {0}, .hugepages = false}, *loop_);
    WEIR_INVARIANT(static_cast<bool>(dataplane), dataplane.error().text);
    dataplane_ = *std::move(dataplane);
    auto server = ApiServer::listen(socket_path(), *dataplane_, *loop_);
    WEIR_INVARIANT(static_cast<bool>(server), server.error().text);
    server_ = *std::move(server);
  }
  ~Server() {
    server_.reset();
    dataplane_.reset();
    std::filesystem::remove_all(directory_);
  }

  void pump() {
    while (loop_->run_once(std::chrono::milliseconds(0)) > 0) continue;
  }
  api::Fd connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket_path().c_str());
    api::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    WEIR_INVARIANT(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
  }
  std::string pods() const { return directory_ + "/pods/"; }

  // A sweep takes back all ports and routes; what they were made of goes a grace period
  // later, and no worker runs that could prolong it.
  void expect_baseline() {
    dataplane_->replay_begin(++generation_);
    WEIR_INVARIANT(static_cast<bool>(dataplane_->replay_end(generation_)));
    for (int i = 0; i < 100 && dataplane_->status().pending_reclaim > 0; ++i)
      loop_->run_once(std::chrono::milliseconds(20));
    const api::DataplaneStatus status = dataplane_->status();
    WEIR_INVARIANT(status.ports == 0 && status.routes == 0 && status.pending_reclaim == 0);
    WEIR_INVARIANT(std::filesystem::is_empty(pods()));
  }

 private:
  std::string socket_path() const { return directory_ + "/dataplane.sock"; }

  std::string directory_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Dataplane> dataplane_;
  std::unique_ptr<ApiServer> server_;
  uint64_t generation_ = 1ULL << 63;  // not one that an input is likely to begin
};

class Peer {
 public:
  explicit Peer(Server& server) : server_(server), event_(eventfd(0, EFD_CLOEXEC)) { connect(); }

  void run(Input& input) {
    while (!input.empty()) request(input);
  }

 private:
  void connect() {
    socket_ = server_.connect();
    const api::Message hello = [] {
      api::Message message(api::MessageType::hello);
      message.add(api::Hello{});
      return message;
    }();
    WEIR_INVARIANT(static_cast<bool>(api::send_message(socket_.get(), hello)));
    WEIR_INVARIANT(answers(hello.header) == 1);
  }

  void request(Input& input) {
    const auto script = input.take<Script>();
    const auto bytes = input.bytes(std::min<size_t>(script.body_length, api::kMaxMessage));
    std::string body(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if ((script.flags & kRaw) != 0) return raw(std::move(body));
    api::Message message(static_cast<api::MessageType>(script.type));
    confine_paths(body, script.record_size, server_.pods());
    message.header.record_size = script.record_size;
    message.header.count = script.count;
    if ((script.flags & kCountAsSized) != 0 && script.record_size > 0) {
      message.header.count = static_cast<uint32_t>(body.size() / script.record_size);
      body.resize(size_t{message.header.count} * script.record_size);
    }
    message.header.sequence = ++sequence_;
    message.body = std::move(body);
    const std::array<int, 2> fds{event_.get(), socket_.get()};
    const auto passed = std::span(fds).first(script.descriptors % 3);
    if (!api::send_message(socket_.get(), message, passed)) return connect();
    if ((script.flags & kHangUp) != 0) {
      server_.pump();
      return connect();
    }
    if (answers(message.header) == 0) connect();
  }

  void raw(std::string bytes) {
    // A request that names a path must go through confine_paths().
    if (bytes.size() > sizeof(api::Header)) bytes.resize(sizeof(api::Header));
    send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    server_.pump();
    connect();
  }

  // Reads the whole answer to `request`; 0 when the server hung up instead.
  size_t answers(const api::Header& request) {
    size_t count = 0;
    while (true) {
      server_.pump();
      const Result<api::Message> reply = api::receive_message(socket_.get());
      if (!reply) {
        WEIR_INVARIANT(reply.error().code == ErrorCode::unavailable, reply.error().text);
        WEIR_INVARIANT(count == 0);
        return 0;
      }
      ++count;
      check(request, *reply);
      if ((reply->header.flags & api::kFlagMore) == 0) break;
    }
    pollfd state{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    WEIR_INVARIANT(poll(&state, 1, 0) == 0);
    return count;
  }

  static void check(const api::Header& request, const api::Message& reply) {
    WEIR_INVARIANT(reply.header.type == request.type);
    WEIR_INVARIANT(reply.header.sequence == request.sequence);
    WEIR_INVARIANT((reply.header.flags & api::kFlagReply) != 0);
    WEIR_INVARIANT(reply.fds.empty());
    if (reply.header.status != 0) {
      WEIR_INVARIANT(!reply.body.empty() && reply.header.count == 0);
      WEIR_INVARIANT(reply.header.failed == 0 || reply.header.failed < request.count);
    } else if (request.type == api::MessageType::port_list) {
      for (const auto& state : reply.records<api::PortState>()) {
        WEIR_INVARIANT(state.config.key != 0 && state.config.secret[0] == 0);
        WEIR_INVARIANT(state.config.mtu >= 68 && state.config.socket_path.back() == 0);
      }
    }
  }

  Server& server_;
  api::Fd socket_;
  api::Fd event_;
  uint32_t sequence_ = 0;
};

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::fuzz;
  static Server server;
  const int before = dup(STDIN_FILENO);
  close(before);
  {
    Input input(data, size);
    Peer(server).run(input);
  }
  server.pump();
  server.expect_baseline();
  const int after = dup(STDIN_FILENO);
  close(after);
  WEIR_INVARIANT(before == after);
  return 0;
}
