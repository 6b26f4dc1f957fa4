#include "tests/control/fake_dataplane.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace weir::test {
namespace {

// Waits until `fd` is readable; false when `stop` was raised first.
bool readable(int fd, int stop) {
  std::array<pollfd, 2> waited{{{fd, POLLIN, 0}, {stop, POLLIN, 0}}};
  return poll(waited.data(), waited.size(), -1) > 0 && waited[1].revents == 0;
}

api::Fd listen_on(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  api::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), 8) != 0) {
    throw std::runtime_error("cannot listen on " + path);
  }
  return fd;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "weir-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string to_packet(const api::Message& message) {
  std::string packet(reinterpret_cast<const char*>(&message.header), sizeof(api::Header));
  return packet + message.body;
}

std::string error_packet(const api::Message& request, const Error& error) {
  api::Message reply(request.header.type);
  reply.header.sequence = request.header.sequence;
  reply.header.flags = api::kFlagReply;
  reply.set_error(error);
  return to_packet(reply);
}

FakeDataplane::FakeDataplane()
    : listener_(listen_on(run_dir() + "/dataplane.sock")), stop_(eventfd(0, EFD_CLOEXEC)) {
  api::set_text(hello.name, "weir-dataplane");
  api::set_text(hello.build, "9.8.7");
  thread_ = std::thread([this] { serve(); });
}

FakeDataplane::~FakeDataplane() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

std::vector<api::Message> FakeDataplane::seen(api::MessageType type) {
  const std::lock_guard lock(mutex_);
  std::vector<api::Message> found;
  for (const api::Message& message : seen_) {
    if (message.header.type != type) continue;
    found.emplace_back(type).header = message.header;
    found.back().body = message.body;
  }
  return found;
}

void FakeDataplane::serve() {
  while (readable(listener_.get(), stop_.get())) {
    const api::Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client) serve_client(client.get());
  }
}

void FakeDataplane::serve_client(int client) {
  while (readable(client, stop_.get())) {
    auto request = api::receive_message(client);
    if (!request) return;
    const Answer reply = answer(*request);
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(*std::move(request));
    }
    for (const std::string& packet : reply.packets) {
      send(client, packet.data(), packet.size(), MSG_NOSIGNAL);
    }
    if (reply.hang_up) return;
  }
}

FakeDataplane::Answer FakeDataplane::answer(const api::Message& request) {
  const auto handler = handlers_.find(request.header.type);
  if (handler != handlers_.end()) return handler->second(request);
  switch (request.header.type) {
    case api::MessageType::hello: return {reply_packets<api::Hello>(request, {hello})};
    case api::MessageType::trace_route: return {reply_packets<api::PathTrace>(request, {path})};
    case api::MessageType::status: return {reply_packets<api::DataplaneStatus>(request, {status})};
    case api::MessageType::trace_start:
    case api::MessageType::trace_read: return answer_trace(request);
    default: return answer_list(request);
  }
}

FakeDataplane::Answer FakeDataplane::answer_list(const api::Message& request) {
  switch (request.header.type) {
    case api::MessageType::port_list: return {reply_packets(request, ports)};
    case api::MessageType::route_list: return {reply_packets(request, routes)};
    case api::MessageType::worker_list: return {reply_packets(request, workers)};
    case api::MessageType::drop_list: return {reply_packets(request, drops)};
    case api::MessageType::connection_list: return {reply_packets(request, connections)};
    case api::MessageType::connection_stats:
      return {reply_packets<api::ConnectionStats>(request, {connection_stats})};
    case api::MessageType::route_lookup: {
      if (routes.empty()) return {{error_packet(request, {ErrorCode::not_found, "no route"})}};
      return {reply_packets<api::Route>(request, {routes.front()})};
    }
    default:
      return {{error_packet(request, {ErrorCode::unsupported, "the fake does not know this"})}};
  }
}

FakeDataplane::Answer FakeDataplane::answer_trace(const api::Message& request) {
  if (request.header.type == api::MessageType::trace_start) {
    return {reply_packets<api::TraceRecord>(request, {})};
  }
  // The first read comes before the start and clears what an earlier trace left.
  const size_t read = trace_reads_++;
  if (read == 0 || read > traces.size()) {
    return {reply_packets<api::TraceRecord>(request, {})};
  }
  return {reply_packets(request, traces[read - 1], 3)};
}

}  // namespace weir::test
