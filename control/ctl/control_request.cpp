#include "control/ctl/control_request.h"

#include "cni/control_client.h"

namespace weir::ctl {
namespace {

Error unavailable(const std::string& path, std::string_view what) {
  return {ErrorCode::unavailable,
          "weir-control " + std::string(what) + " " + path +
              ": start it with 'weir-control --config /etc/weir/weir.json', or name the "
              "directory of its socket with --run-dir or WEIR_RUN_DIR"};
}

// The same failure with the remedy for a person at a terminal.
Error with_remedy(const Error& error, const std::string& path, std::chrono::milliseconds timeout) {
  switch (error.code) {
    case ErrorCode::unavailable: return unavailable(path, "does not answer on");
    case ErrorCode::io: return unavailable(path, "closed the connection on");
    case ErrorCode::permission: return {error.code, error.text + ": run weirctl as root"};
    case ErrorCode::timeout:
      return {error.code, "weir-control did not answer on " + path + " within " +
                              std::to_string(timeout.count()) +
                              " ms: look at its log, restart it if it hangs"};
    default:
      return {error.code,
              error.text + ": is it weir-control of this release that listens on " + path + "?"};
  }
}

// CNI's numbers in weir's own terms.
ErrorCode code_of(cni::Code code) {
  switch (code) {
    case cni::Code::incompatible_version: return ErrorCode::version;
    case cni::Code::unsupported_field: return ErrorCode::unsupported;
    case cni::Code::unknown_container: return ErrorCode::not_found;
    case cni::Code::invalid_environment:
    case cni::Code::decoding_failure:
    case cni::Code::invalid_netns:
    case cni::Code::invalid_config: return ErrorCode::invalid_argument;
    case cni::Code::try_later: return ErrorCode::busy;
    case cni::Code::unavailable:
    case cni::Code::limited_connectivity: return ErrorCode::unavailable;
    case cni::Code::exists: return ErrorCode::exists;
    case cni::Code::exhausted: return ErrorCode::limit;
    default: return ErrorCode::io;
  }
}

Error daemon_error(const cni::Error& error) {
  const std::string text = error.msg.empty() ? "weir-control failed and gave no reason" : error.msg;
  return {code_of(error.code), error.details.empty() ? text : text + ": " + error.details};
}

// weirctl's own shape: numbers that not every JSON reader keeps exact become text.
Json exact(const cni::Json& value) {
  if (value.is_number_unsigned()) return json_u64(value.get<uint64_t>());
  if (value.is_array()) {
    Json all = Json::array();
    for (const cni::Json& element : value) all.push_back(exact(element));
    return all;
  }
  if (value.is_object()) {
    Json all = Json::object();
    for (const auto& [key, element] : value.items()) all[key] = exact(element);
    return all;
  }
  return Json(value);
}

}  // namespace

Result<Json> request_control(const std::string& path, std::string_view method, const Json& params,
                             std::chrono::milliseconds timeout) {
  const cni::Deadline deadline = cni::Clock::now() + timeout;
  auto client = cni::ControlClient::connect(path, deadline);
  const bool too_long = !client && client.error().code == ErrorCode::invalid_argument;
  if (too_long) return client.error();
  if (!client) return with_remedy(client.error(), path, timeout);
  auto reply = client->call(method, cni::Json(params), deadline);
  if (!reply) return with_remedy(reply.error(), path, timeout);
  if (reply->error) return daemon_error(*reply->error);
  return exact(reply->result);
}

}  // namespace weir::ctl
