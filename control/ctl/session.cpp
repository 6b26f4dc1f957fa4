#include "control/ctl/session.h"

#include <utility>

#include "control/ctl/control_request.h"

namespace weir::ctl {

Result<api::Client> Session::dataplane() const {
  const std::string path = dataplane_socket();
  auto client = api::Client::connect(path, "weirctl", timeout);
  if (client || client.error().code != ErrorCode::unavailable) return client;
  return {ErrorCode::unavailable,
          "weir-dataplane does not answer on " + path +
              ": start it with 'weir-dataplane --config /etc/weir/weir.json', or name the "
              "directory of its socket with --run-dir or WEIR_RUN_DIR"};
}

Result<Json> Session::control(std::string_view method, const Json& params) const {
  return request_control(control_socket(), method, params, timeout);
}

}  // namespace weir::ctl
