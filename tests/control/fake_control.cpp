#include "tests/control/fake_control.h"

#include <endian.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <stdexcept>

namespace weir::test {
namespace {

constexpr size_t kHeader = 12;

bool readable(int fd, int stop) {
  std::array<pollfd, 2> waited{{{fd, POLLIN, 0}, {stop, POLLIN, 0}}};
  return poll(waited.data(), waited.size(), -1) > 0 && waited[1].revents == 0;
}

std::string read_exactly(int fd, size_t length) {
  std::string bytes(length, '\0');
  const ssize_t got = recv(fd, bytes.data(), length, MSG_WAITALL);
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return bytes;
}

}  // namespace

std::string response_frame(const nlohmann::json& body) {
  const std::string text = body.dump();
  const uint32_t length = htole32(static_cast<uint32_t>(text.size()));
  std::string frame("WEIR\1\0\2\0", 8);
  frame.append(reinterpret_cast<const char*>(&length), sizeof length);
  return frame + text;
}

FakeControl::FakeControl(const std::string& run_dir, Handler handler)
    : handler_(std::move(handler)),
      listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (run_dir + "/cni.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_.get(), 8) != 0) {
    throw std::runtime_error("cannot listen in " + run_dir);
  }
  thread_ = std::thread([this] { serve(); });
}

FakeControl::~FakeControl() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

std::vector<nlohmann::json> FakeControl::seen() {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void FakeControl::serve() {
  while (readable(listener_.get(), stop_.get())) {
    const api::Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client) serve_client(client.get());
  }
}

void FakeControl::serve_client(int client) {
  const std::string header = read_exactly(client, kHeader);
  // The frame's promise to the daemon is part of what is tested.
  if (header.size() != kHeader || !header.starts_with(std::string("WEIR\1\0\1\0", 8))) return;
  uint32_t length = 0;
  std::memcpy(&length, header.data() + 8, sizeof length);
  const auto request = nlohmann::json::parse(read_exactly(client, le32toh(length)));
  {
    const std::lock_guard lock(mutex_);
    seen_.push_back(request);
  }
  const auto reply = handler_(request);
  if (reply) {
    send(client, reply->data(), reply->size(), MSG_NOSIGNAL);
    return;
  }
  readable(client, stop_.get());  // until the client gives up
}

}  // namespace weir::test
