// What a command needs: where the daemons are and where its output goes.
#pragma once

#include <chrono>
#include <ostream>
#include <string>
#include <string_view>

#include "control/ctl/text.h"
#include "dataplane/api/client.h"

namespace weir::ctl {

struct Session {
  std::ostream& out;
  std::ostream& err;
  bool json = false;
  std::string run_dir;                // of the daemons' sockets
  std::chrono::milliseconds timeout;  // of one question to a daemon

  std::string dataplane_socket() const { return run_dir + "/dataplane.sock"; }
  std::string control_socket() const { return run_dir + "/cni.sock"; }

  // Every error names the socket and the remedy.
  Result<api::Client> dataplane() const;
  // One request to weir-control; the response's "result".
  Result<Json> control(std::string_view method, const Json& params = Json::object()) const;
};

// Prints `values` as JSON or as text, whichever the user asked for.
template <class ToJson, class ToText, class... Values>
Status show(const Session& session, ToJson to_json, ToText to_text, const Values&... values) {
  session.out << (session.json ? dump(to_json(values...)) : to_text(values...));
  return {};
}

}  // namespace weir::ctl
