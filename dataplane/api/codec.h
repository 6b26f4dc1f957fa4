// Messages of the dataplane API: build, check and move them over a socket.
// Both sides use this; neither trusts what it receives.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/api/error.h"
#include "dataplane/api/protocol.h"

namespace weir::api {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// One message in memory: header, records, and the descriptors that came with it.
class Message {
 public:
  Message() = default;
  explicit Message(MessageType type) { header.type = type; }

  Header header;
  std::string body;     // records, or the error sentence when header.status != 0
  std::vector<Fd> fds;  // received; closed with the message unless moved out

  template <Record T>
  void add(const T& record) {
    header.record_size = sizeof(T);
    ++header.count;
    body.append(reinterpret_cast<const char*>(&record), sizeof(T));
  }
  // True when one more T fits into a packet.
  template <Record T>
  bool fits() const noexcept {
    return sizeof(Header) + body.size() + sizeof(T) <= kMaxMessage;
  }
  // The records as T: longer ones cut, shorter ones completed with zeros.
  template <Record T>
  std::vector<T> records() const {
    std::vector<T> out(header.count);
    const size_t size = std::min<size_t>(sizeof(T), header.record_size);
    for (size_t i = 0; i < out.size(); ++i) {
      std::memcpy(static_cast<void*>(&out[i]), body.data() + i * header.record_size, size);
    }
    return out;
  }
  void set_error(const Error& error, uint32_t failed = 0);
  Status status() const;  // header.status and body as a Status
};

inline constexpr size_t kMaxFds = 8;  // descriptors one message may carry

// One sendmsg/recvmsg each. Error io with the errno's text; would-block is
// ErrorCode::busy; a closed peer is ErrorCode::unavailable; a message that breaks
// the rules (size, magic, count * record_size) is ErrorCode::invalid_argument and a
// wrong version ErrorCode::version. Never SIGPIPE. `fds` stay the caller's.
Status send_message(int socket, const Message& message, std::span<const int> fds = {});
Result<Message> receive_message(int socket);

// Fixed text fields: cut to fit, always zero-terminated.
template <size_t N>
void set_text(std::array<char, N>& field, std::string_view text) noexcept {
  field.fill(0);
  std::memcpy(field.data(), text.data(), std::min(text.size(), N - 1));
}
template <size_t N>
std::string get_text(const std::array<char, N>& field) {
  return {field.data(), strnlen(field.data(), N)};
}

}  // namespace weir::api
