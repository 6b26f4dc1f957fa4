#include "cni/control_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "cni/fault/fault.h"
#include "cni/frame.h"

namespace weir::cni {
namespace {

weir::Error protocol_error(std::string_view what) {
  return {ErrorCode::invalid_argument,
          "weir-control's answer cannot be understood: " + std::string(what)};
}

// A connect to a unix socket waits for room in the listener's queue, but only on a
// blocking socket; SO_SNDTIMEO is what bounds it.
void bound_connect(int socket, Deadline deadline) {
  const int left = std::max(1, remaining_ms(deadline));
  const timeval limit{left / 1000, (left % 1000) * 1000};
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

weir::Error connect_error(const std::string& path, int number) {
  if (number == ENOENT || number == ECONNREFUSED || number == ENOTDIR) {
    return {ErrorCode::unavailable, "weir-control does not listen on " + path};
  }
  if (number == EAGAIN) {
    return {ErrorCode::timeout, "weir-control on " + path + " does not accept connections"};
  }
  return errno_error("cannot connect to weir-control on " + path, number);
}

weir::Result<Error> read_error(const Json& object) {
  FieldReader reader(object, "error");
  const auto code = reader.integer("code", 1, INT_MAX);
  Error error{static_cast<Code>(code.value_or(0)), reader.text("msg"), reader.text("details")};
  if (reader.error()) return protocol_error(reader.error()->msg);
  if (!code) return protocol_error("an error without a code");
  return error;
}

weir::Result<Reply> read_reply(std::string_view body) {
  Outcome<Json> document = parse_json(body, Keys::verbatim, kMaxFrameBody);
  if (!document) return protocol_error(document.error().msg);
  if (!document->is_object()) return protocol_error("it is not an object");
  if (const auto found = document->find("error"); found != document->end()) {
    weir::Result<Error> error = read_error(*found);
    if (!error) return error.error();
    return Reply{{}, *std::move(error)};
  }
  const auto found = document->find("result");
  if (found == document->end()) return protocol_error("neither result nor error");
  return Reply{std::move(*found), {}};
}

}  // namespace

weir::Result<ControlClient> ControlClient::connect(const std::string& path, Deadline deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return weir::Error{ErrorCode::invalid_argument,
                       "the socket path " + path +
                           " is too long; set WEIR_RUN_DIR to a directory of less than 98 bytes"};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error("cannot create a socket", errno);
  int result = 0;
  do {
    bound_connect(socket.get(), deadline);
    result = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return connect_error(path, errno);
  return ControlClient(std::move(socket));
}

weir::Result<Reply> ControlClient::call(std::string_view method, const Json& params,
                                        Deadline deadline) {
  const std::string body = Json{{"method", method}, {"params", params}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
  if (body.size() > kMaxFrameBody) {
    return weir::Error{ErrorCode::limit, "the request is larger than 9 MiB"};
  }
  const FrameHeader header =
      encode_frame_header(FrameKind::request, static_cast<uint32_t>(body.size()));
  std::string frame(header.begin(), header.end());
  frame += body;
  WEIR_FAULT_ERROR("shim.connected");
  if (Status sent = send_all(frame, deadline); !sent) return sent.error();
  WEIR_FAULT_ERROR("shim.request_sent");
  weir::Result<std::string> reply = receive_body(deadline);
  if (!reply) return reply.error();
  return read_reply(*reply);
}

Status ControlClient::send_all(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (Status ready = wait_ready(socket_.get(), POLLOUT, deadline); !ready) return ready;
    const ssize_t count =
        send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return errno_error("cannot send to weir-control", errno);
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return {};
}

Status ControlClient::receive_exactly(char* to, size_t count, Deadline deadline) {
  while (count > 0) {
    if (Status ready = wait_ready(socket_.get(), POLLIN, deadline); !ready) return ready;
    const ssize_t got = recv(socket_.get(), to, count, MSG_DONTWAIT);
    if (got == 0) return Status(ErrorCode::io, "weir-control closed the connection");
    if (got < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return errno_error("cannot read from weir-control", errno);
    }
    to += got;
    count -= static_cast<size_t>(got);
  }
  return {};
}

weir::Result<std::string> ControlClient::receive_body(Deadline deadline) {
  FrameHeader header{};
  if (Status got = receive_exactly(reinterpret_cast<char*>(header.data()), header.size(), deadline);
      !got) {
    return got.error();
  }
  weir::Result<uint32_t> length = decode_frame_header(header, FrameKind::response);
  if (!length) return length.error();
  std::string body(*length, '\0');
  if (Status got = receive_exactly(body.data(), body.size(), deadline); !got) return got.error();
  return body;
}

}  // namespace weir::cni
