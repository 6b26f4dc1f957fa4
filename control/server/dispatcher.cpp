#include "control/server/dispatcher.h"

#include <spdlog/spdlog.h>

#include <exception>

#include "cni/frame.h"
#include "cni/request.h"
#include "control/cni/verbs.h"
#include "control/operator/methods.h"

namespace weir::control {

namespace {

using cni::Json;

std::string encode(const Json& response) {
  return response.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string encode_error(const cni::Error& error) {
  return encode(
      {{"error",
        {{"code", static_cast<int>(error.code)}, {"msg", error.msg}, {"details", error.details}}}});
}

// Plain functions make all JSON here: g++ 12 destroys the initializer lists of a
// coroutine's expressions twice.
std::string encode_outcome(cni::Outcome<Json> outcome) {
  if (!outcome) return encode_error(outcome.error());
  return encode({{"result", *std::move(outcome)}});
}

std::string encode_exception(const std::exception& failure) {
  spdlog::error("a request failed: {}", failure.what());
  return encode_error(
      {cni::Code::internal, "weir-control could not carry out the request", failure.what()});
}

cni::Outcome<Json> printed_result(cni::Outcome<Json> printed) {
  if (!printed) return printed.error();
  return Json{{"stdout", *std::move(printed)}};
}

Task<cni::Outcome<Json>> run(Controller& controller, std::string body) {
  auto request = cni::parse_json(body, cni::Keys::verbatim, cni::kMaxFrameBody);
  if (!request) co_return request.error();
  cni::FieldReader reader(*request, "request");
  const std::string method = reader.text("method");
  const Json* given = reader.object("params");
  if (reader.error()) co_return *reader.error();
  Json params = given == nullptr ? Json::object() : *given;
  body.clear();
  const auto command = cni::parse_method(method);
  if (!command) co_return co_await run_operator_method(controller, method, std::move(params));
  auto printed = co_await run_verb(controller, *command, std::move(params));
  co_return printed_result(std::move(printed));
}

}  // namespace

Task<std::string> dispatch(Controller& controller, std::string body) {
  try {
    auto outcome = co_await run(controller, std::move(body));
    co_return encode_outcome(std::move(outcome));
  } catch (const std::exception& failure) {
    co_return encode_exception(failure);
  }
}

}  // namespace weir::control
