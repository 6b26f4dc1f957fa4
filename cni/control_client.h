// The client's side of weir-control's socket: framed JSON requests with deadlines.
// Used by the shim; fit for any program that asks weir-control something.
//
// Thread safety: none; one client belongs to one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cni/error.h"
#include "cni/fd.h"
#include "cni/io.h"
#include "cni/json.h"
#include "dataplane/api/error.h"

namespace weir::cni {

// What the daemon answered: a result, or an error with its code.
struct Reply {
  Json result;
  std::optional<Error> error;
};

class ControlClient {
 public:
  // Errors: unavailable (nobody listens there), permission, timeout (its queue stays
  // full), invalid_argument (the path does not fit a socket address), io.
  static weir::Result<ControlClient> connect(const std::string& path, Deadline deadline);

  // One request, one reply; several calls in sequence are fine until one fails. The
  // request may have been carried out even so. Errors: timeout, io (the peer went
  // away), and for a peer that does not keep to the protocol invalid_argument,
  // version or limit.
  weir::Result<Reply> call(std::string_view method, const Json& params, Deadline deadline);

 private:
  explicit ControlClient(UniqueFd socket) noexcept : socket_(std::move(socket)) {}

  Status send_all(std::string_view bytes, Deadline deadline);
  Status receive_exactly(char* to, size_t count, Deadline deadline);
  weir::Result<std::string> receive_body(Deadline deadline);

  UniqueFd socket_;
};

}  // namespace weir::cni
