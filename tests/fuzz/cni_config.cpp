// What reaches the CNI shim and weir-control from outside: a network configuration, a
// result, a frame of cni.sock, CNI_ARGS. Each is taken whole or refused with a code of the
// specification, and what was taken can be written out and read again.
#include "cni/frame.h"
#include "cni/network_config.h"
#include "cni/request.h"
#include "tests/fuzz/input.h"

namespace {

using namespace weir;
using namespace weir::cni;
using fuzz::Input;

constexpr Command kCommands[] = {Command::add, Command::del,    Command::check,
                                 Command::gc,  Command::status, Command::version};

// An error becomes the object a runtime reads, whatever text it quotes.
void check_error(const cni::Error& error) {
  WEIR_INVARIANT(!error.msg.empty());
  const std::string line = render(error, kNewestVersion);
  const Outcome<Json> object = parse_json(line, Keys::verbatim);
  WEIR_INVARIANT(object && object->is_object(), line);
  WEIR_INVARIANT(object->at("code") == static_cast<int>(error.code));
}

void check_result(const cni::Result& result, Version version) {
  const Json shape = render(result, version);
  const Outcome<cni::Result> again = parse_result(shape);
  WEIR_INVARIANT(static_cast<bool>(again), shape.dump());
  WEIR_INVARIANT(render(*again, version) == shape, shape.dump());
}

void network_config(Input& input) {
  const Command command = kCommands[input.below(std::size(kCommands))];
  const std::string_view text = input.text();
  const Outcome<NetworkConfig> config = parse_network_config(text, command);
  const Version version = version_of(text);
  if (!config) return check_error(config.error());
  WEIR_INVARIANT(config->version == version);
  WEIR_INVARIANT(is_cni_name(config->name));
  const Environment environment;
  if (const auto mac = requested_mac(*config, environment); !mac) check_error(mac.error());
  if (const auto wanted = requested_addresses(*config, environment); !wanted)
    check_error(wanted.error());
  if (config->prev_result) check_result(*config->prev_result, config->version);
}

void result(Input& input) {
  const Outcome<Json> object = parse_json(input.text());
  if (!object) return check_error(object.error());
  const Outcome<cni::Result> result = parse_result(*object);
  if (!result) return check_error(result.error());
  check_result(*result, kNewestVersion);
}

// As weir-control reads a request: header, body, method, parameters.
void frame(Input& input) {
  FrameHeader header{};
  std::ranges::copy(input.bytes(header.size()), header.begin());
  const auto length = decode_frame_header(header, FrameKind::request);
  if (!length) return WEIR_INVARIANT(!length.error().text.empty());
  WEIR_INVARIANT(*length <= kMaxFrameBody);
  WEIR_INVARIANT(encode_frame_header(FrameKind::request, *length) == header);
  const Command command = kCommands[input.below(std::size(kCommands))];
  const Outcome<Json> document = parse_json(input.text(), Keys::verbatim);
  if (!document) return check_error(document.error());
  const Outcome<Request> request = parse_request(command, *document);
  if (!request) return check_error(request.error());
  const Outcome<Request> again = parse_request(command, request_params(*request));
  WEIR_INVARIANT(again && again->config == request->config);
  WEIR_INVARIANT(again->environment.container_id == request->environment.container_id);
}

void arguments(Input& input) {
  const Outcome<Arguments> arguments = parse_arguments(input.text());
  if (!arguments) return check_error(arguments.error());
  WEIR_INVARIANT(!arguments->values.contains("IgnoreUnknown"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr void (*kParts[])(Input&) = {network_config, result, frame, arguments};
  Input input(data, size);
  kParts[input.below(std::size(kParts))](input);
  return 0;
}
