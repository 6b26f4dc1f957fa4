#include "control/ctl/control_request.h"

#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "dataplane/api/codec.h"

namespace weir::ctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array<char, 4> kFrameMagic{'W', 'E', 'I', 'R'};
constexpr uint16_t kFrameVersion = 1;
constexpr uint16_t kRequest = 1;
constexpr uint16_t kResponse = 2;
constexpr uint32_t kMaxBody = 9U << 20;

struct FrameHeader {
  std::array<char, 4> magic = kFrameMagic;
  uint16_t version = htole16(kFrameVersion);  // the numbers are little-endian
  uint16_t kind = htole16(kRequest);
  uint32_t length = 0;
};
static_assert(sizeof(FrameHeader) == 12);

Error unavailable(const std::string& path, std::string_view what) {
  return {ErrorCode::unavailable,
          "weir-control " + std::string(what) + " " + path +
              ": start it with 'weir-control --config /etc/weir/weir.json', or name the "
              "directory of its socket with --run-dir or WEIR_RUN_DIR"};
}

Error not_a_response(const std::string& path) {
  return {ErrorCode::invalid_argument,
          "what listens on " + path +
              " does not speak weir-control's protocol: install the same release of both"};
}

// A connection whose every wait ends at one deadline.
class Connection {
 public:
  Connection(std::string path, std::chrono::milliseconds timeout)
      : path_(std::move(path)), timeout_(timeout), deadline_(Clock::now() + timeout) {}

  Status open();
  Status send(std::string_view bytes);
  Status receive(char* to, size_t length);

 private:
  Status wait(short events);

  std::string path_;
  std::chrono::milliseconds timeout_;
  Clock::time_point deadline_;
  api::Fd socket_;
};

Status Connection::open() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) {
    return {ErrorCode::invalid_argument,
            "socket path " + path_ + " is longer than 107 bytes: choose a shorter --run-dir"};
  }
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return errno_error("cannot make a socket", errno);
  const auto* target = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(socket_.get(), target, sizeof address) == 0) return {};
  if (errno == EACCES || errno == EPERM) {
    return {ErrorCode::permission, "no permission to use " + path_ + ": run weirctl as root"};
  }
  if (errno == EAGAIN) {
    return {ErrorCode::timeout,
            "weir-control takes no connections on " + path_ + ": restart it, it hangs"};
  }
  return unavailable(path_, "does not answer on");
}

Status Connection::wait(short events) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    pollfd waited{.fd = socket_.get(), .events = events, .revents = 0};
    const int ready = left <= 0 ? 0 : ::poll(&waited, 1, static_cast<int>(left));
    if (ready > 0) return {};
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return errno_error("cannot wait for weir-control", errno);
    return {ErrorCode::timeout, "weir-control did not answer within " +
                                    std::to_string(timeout_.count()) +
                                    " ms: look at its log, restart it if it hangs"};
  }
}

Status Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (const Status ready = wait(POLLOUT); !ready) return ready;
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      return unavailable(path_, "closed the connection on");
    }
  }
  return {};
}

Status Connection::receive(char* to, size_t length) {
  while (length > 0) {
    if (const Status ready = wait(POLLIN); !ready) return ready;
    const ssize_t got = ::recv(socket_.get(), to, length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) return unavailable(path_, "closed the connection on");
    to += got;
    length -= static_cast<size_t>(got);
  }
  return {};
}

std::string frame(const std::string& body) {
  FrameHeader header;
  header.length = htole32(static_cast<uint32_t>(body.size()));
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  return bytes + body;
}

Result<std::string> receive_body(Connection& connection, const std::string& path) {
  FrameHeader header;
  const Status got = connection.receive(reinterpret_cast<char*>(&header), sizeof header);
  if (!got) return got.error();
  const uint32_t length = le32toh(header.length);
  if (header.magic != kFrameMagic || le16toh(header.version) != kFrameVersion ||
      le16toh(header.kind) != kResponse || length > kMaxBody) {
    return not_a_response(path);
  }
  std::string body(length, '\0');
  if (const Status whole = connection.receive(body.data(), body.size()); !whole) {
    return whole.error();
  }
  return body;
}

// CNI's numbers (CNI SPEC, "Error") in weir's own terms.
ErrorCode code_of(int64_t number) {
  switch (number) {
    case 2: return ErrorCode::unsupported;
    case 3: return ErrorCode::not_found;
    case 4:
    case 6: return ErrorCode::invalid_argument;
    case 7: return ErrorCode::config;
    case 11: return ErrorCode::busy;
    case 50:
    case 51: return ErrorCode::unavailable;
    default: return ErrorCode::io;
  }
}

std::string text_member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Error control_error(const Json& error) {
  if (!error.is_object()) return {ErrorCode::io, "weir-control failed and gave no reason"};
  const auto number = error.find("code");
  const bool known = number != error.end() && number->is_number_integer();
  std::string text = text_member(error, "msg");
  const std::string details = text_member(error, "details");
  if (text.empty()) text = "weir-control failed and gave no reason";
  if (!details.empty()) text += ": " + details;
  return {code_of(known ? number->get<int64_t>() : -1), text};
}

Result<Json> request_control(const std::string& path, std::string_view method, const Json& params,
                             std::chrono::milliseconds timeout) {
  Connection connection(path, timeout);
  if (const Status opened = connection.open(); !opened) return opened.error();
  const Json request{{"method", method}, {"params", params}};
  const std::string body = request.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (const Status sent = connection.send(frame(body)); !sent) return sent.error();
  const auto reply = receive_body(connection, path);
  if (!reply) return reply.error();
  const Json response = Json::parse(*reply, nullptr, false);
  if (!response.is_object()) return not_a_response(path);
  if (response.contains("error")) return control_error(response["error"]);
  if (!response.contains("result")) return not_a_response(path);
  return Json(response["result"]);
}

}  // namespace weir::ctl
