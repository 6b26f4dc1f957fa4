// The socket a pod connects to: a path in a directory that is opened once and never
// reached through symbolic links.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <string>

#include "dataplane/api/codec.h"

namespace weir::dataplane::memif {

struct PathSocketConfig {
  std::string path;  // absolute
  mode_t mode = 0660;
  uid_t uid = 0;
  gid_t gid = 0;
  int type = SOCK_SEQPACKET;  // or SOCK_STREAM
};

// What the port's configuration says of its socket.
PathSocketConfig path_socket_config(const api::PortConfig& config, int type);

class PathSocket {
 public:
  // A listening, non-blocking socket with that mode and owner. Replaces a
  // socket that is there, atomically; anything else in the way is an error (exists). The
  // last directory is made (0750) when missing and must not be writable by everybody.
  static Result<PathSocket> create(const PathSocketConfig& config);

  PathSocket(PathSocket&&) = default;
  PathSocket& operator=(PathSocket&&) = delete;
  ~PathSocket();  // unlinks the path if it is still this socket's

  int fd() const noexcept { return socket_.get(); }

 private:
  PathSocket(api::Fd directory, std::string name)
      : directory_(std::move(directory)), name_(std::move(name)) {}

  Status bind_and_listen(const PathSocketConfig& config);

  api::Fd directory_;
  std::string name_;
  api::Fd socket_;
  ino_t inode_ = 0;  // 0: nothing to unlink
};

// Connects to a peer's socket, without blocking and without following a
// symbolic link anywhere on the path: the peer may own its directory. The text of an error
// says what is missing.
Result<api::Fd> connect_socket(const std::string& path, int type = SOCK_SEQPACKET);

// Whether the peer of a connected socket is gone, read or unread.
bool hung_up(int socket);
// Of whoever made the peer's socket, as the kernel knows them.
ucred credentials_of(int socket);

}  // namespace weir::dataplane::memif
