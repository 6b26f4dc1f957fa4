// weir-cni, the plugin that a container runtime runs: check the request, hand it to
// weir-control, print the answer. It keeps no state but the spool of DELs that
// nobody could take.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "cni/control_client.h"
#include "cni/environment.h"
#include "cni/fault/fault.h"
#include "cni/io.h"
#include "cni/network_config.h"
#include "cni/request.h"
#include "cni/spool.h"
#include "config/paths.h"

namespace weir::cni {
namespace {

using std::chrono::milliseconds;

// What goes to stdout (empty or one JSON object) and the exit status.
struct Answer {
  std::string output;
  int status = 0;
};

struct Bounds {
  milliseconds input;  // until stdin is read
  milliseconds total;
};

// STATUS stays well under 2 s whatever hangs: containerd asks with a lock held.
constexpr Bounds kStatusBounds{milliseconds(800), milliseconds(1500)};
constexpr Bounds kDelBounds{milliseconds(5000), milliseconds(30000)};
constexpr Bounds kWorkBounds{milliseconds(5000), milliseconds(60000)};

Bounds bounds_of(Command command) noexcept {
  if (command == Command::status) return kStatusBounds;
  return command == Command::del ? kDelBounds : kWorkBounds;
}

void log(const std::string& text) { std::fprintf(stderr, "weir-cni: %s\n", text.c_str()); }

Answer failure(const Error& error, Version version) {
  log(error.msg + (error.details.empty() ? "" : " (" + error.details + ")"));
  return {render(error, version), 1};
}

// What a failed exchange with weir-control means to the runtime.
Error exchange_error(Command command, const weir::Error& cause) {
  if (command == Command::status) return {Code::unavailable, cause.text, {}};
  switch (cause.code) {
    case ErrorCode::unavailable:
      return {Code::try_later, cause.text, "start weir-control: systemctl start weir-control"};
    case ErrorCode::timeout:
    case ErrorCode::io: return {Code::try_later, cause.text, "see weir-control's log"};
    default: return {Code::io_failure, cause.text, {}};
  }
}

// A DEL succeeds whatever became of weir-control; the spool remembers it.
Answer keep_for_later(const Request& request, const std::string& network,
                      const weir::Error& cause) {
  const std::string directory = spool_dir();
  const Status kept = write_spool(directory, network, request);
  WEIR_FAULT_POINT("shim.spooled");
  log(cause.text + (kept ? "; the DEL waits in " + directory
                         : "; the DEL is not recorded: " + kept.error().text));
  return {};
}

weir::Result<Reply> ask(const Request& request, Deadline deadline) {
  weir::Result<ControlClient> client = ControlClient::connect(config::cni_socket(), deadline);
  if (!client) return client.error();
  return client->call(method_name(request.environment.command), request_params(request), deadline);
}

Answer print_reply(Command command, Reply reply, Version version) {
  if (reply.error) return failure(*reply.error, version);
  Json output;
  if (reply.result.is_object()) output = std::move(reply.result["stdout"]);
  if (output.is_object()) return {output.dump(), 0};
  if (command != Command::add) return {};
  return failure({Code::io_failure, "weir-control sent no result", "see its log"}, version);
}

// What can be refused without weir-control, after the configuration is known.
std::optional<Error> check_work(const Environment& environment, const NetworkConfig& config) {
  if (auto error = check_netns(environment)) return error;
  const bool needs_path =
      environment.command == Command::add || environment.command == Command::check;
  if (needs_path && delegates_ipam(config) && environment.path.empty()) {
    return Error{Code::invalid_environment, "required environment variables are missing: CNI_PATH",
                 "ipam.type " + config.ipam_type + " is a program that is looked up there"};
  }
  return std::nullopt;
}

// A variable that is not UTF-8 does not fit into JSON; no plugin's is.
std::vector<std::string> whole_environment() {
  std::vector<std::string> variables;
  for (char** one = environ; *one != nullptr; ++one) {
    if (is_utf8(*one)) variables.emplace_back(*one);
  }
  return variables;
}

Answer handle(const Environment& environment) {
  const Deadline start = Clock::now();
  const Bounds bounds = bounds_of(environment.command);
  weir::Result<std::string> input = read_all(STDIN_FILENO, kMaxDocument, start + bounds.input);
  if (!input) {
    return failure({Code::io_failure,
                    "cannot read the network configuration from stdin: " + input.error().text,
                    {}},
                   kNewestVersion);
  }
  Request request{environment, *std::move(input)};
  const Outcome<NetworkConfig> config = parse_network_config(request.config, environment.command);
  if (!config) return failure(config.error(), version_of(request.config));
  if (auto error = check_work(environment, *config)) return failure(*error, config->version);
  if (delegates_ipam(*config)) request.environment.inherited = whole_environment();

  WEIR_FAULT_POINT("shim.checked");
  weir::Result<Reply> reply = ask(request, start + bounds.total);
  WEIR_FAULT_POINT("shim.answered");
  if (reply) return print_reply(environment.command, *std::move(reply), config->version);
  if (environment.command == Command::del) {
    return keep_for_later(request, config->name, reply.error());
  }
  return failure(exchange_error(environment.command, reply.error()), config->version);
}

Answer run() {
  try {
    const Outcome<Environment> environment = read_environment(
        [](const char* name) -> const char* { return std::getenv(name); });  // NOLINT
    if (!environment) return failure(environment.error(), kNewestVersion);
    if (environment->command == Command::version) return {render_versions(), 0};
    return handle(*environment);
  } catch (const std::exception& problem) {
    return failure({Code::internal, std::string("internal failure: ") + problem.what(), {}},
                   kNewestVersion);
  }
}

// A closed stdin, stdout or stderr would lend its number to a socket.
void fill_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)open("/dev/null", O_RDWR);
  }
}

bool print(std::string text) {
  if (text.empty()) return true;
  text += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = write(STDOUT_FILENO, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    rest.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace
}  // namespace weir::cni

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  weir::cni::fill_standard_descriptors();
  const weir::cni::Answer answer = weir::cni::run();
  // An ADD whose result nobody got has to look failed.
  const bool printed = weir::cni::print(answer.output);
  WEIR_FAULT_POINT("shim.printed");
  return printed ? answer.status : 1;
}
