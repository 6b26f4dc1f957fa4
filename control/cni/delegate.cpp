#include "control/cni/delegate.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "control/cni/subprocess.h"
#include "control/ipam/number.h"

namespace weir::control {

namespace {

constexpr std::string_view kCommand = "CNI_COMMAND=";
constexpr std::string_view kPath = "CNI_PATH=";
constexpr size_t kExcerpt = 300;  // bytes of a plugin's own words in an error

// Below what the shim waits in all, which is below the runtimes' limits.
std::chrono::milliseconds bound_of(cni::Command command) {
  using std::chrono::milliseconds;
  switch (command) {
    case cni::Command::status: return milliseconds(1000);
    case cni::Command::add: return milliseconds(20000);
    default: return milliseconds(10000);
  }
}

std::string excerpt(const std::string& text) {
  std::string line = text.substr(0, kExcerpt);
  std::ranges::replace(line, '\n', ' ');
  return line;
}

std::vector<std::string> environment_of(const cni::Environment& environment) {
  if (!environment.inherited.empty()) return environment.inherited;
  return {std::string(kCommand) + std::string(to_string(environment.command)),
          "CNI_CONTAINERID=" + environment.container_id,
          "CNI_NETNS=" + environment.netns,
          "CNI_IFNAME=" + environment.ifname,
          "CNI_ARGS=" + environment.args,
          std::string(kPath) + environment.path};
}

std::string variable(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& one : environment) {
    if (one.starts_with(name)) return one.substr(name.size());
  }
  return "";
}

bool is_program(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

// Empty: none. A relative directory would mean another one here than in the runtime.
std::string find_program(const DelegateCall& call) {
  std::string directories = variable(call.environment, kPath);
  while (!directories.empty()) {
    const std::string directory = directories.substr(0, directories.find(':'));
    directories.erase(0, directory.size() + 1);
    const std::string path = directory + "/" + call.type;
    if (directory.starts_with('/') && is_program(path)) return path;
  }
  return "";
}

cni::Error not_found(const DelegateCall& call) {
  return {cni::Code::invalid_config, "the IPAM plugin \"" + call.type + "\" is not in CNI_PATH",
          "install it in " + variable(call.environment, kPath) + ", or set ipam.type to weir"};
}

cni::Error failure(const DelegateCall& call, cni::Code code, const std::string& what,
                   const std::string& details) {
  return {code, "the IPAM plugin " + call.type + " " + what, excerpt(details)};
}

// Of a program that ended with a failure; the specification wants an error object.
cni::Error its_error(const DelegateCall& call, const ProgramEnd& end) {
  if (WIFSIGNALED(end.status)) {
    return failure(call, cni::Code::internal,
                   "was ended by signal " + std::to_string(WTERMSIG(end.status)), end.errors);
  }
  const std::string status = std::to_string(WEXITSTATUS(end.status));
  const auto object = cni::parse_json(end.output);
  if (object && object->is_object()) {
    cni::FieldReader reader(*object, "error");
    const auto code = reader.integer("code", 1, INT32_MAX);
    const std::string msg = reader.text("msg");
    const std::string details = reader.text("details");
    if (!reader.error() && code) {
      return failure(call, static_cast<cni::Code>(*code), "says: " + msg, details);
    }
  }
  return failure(call, cni::Code::internal, "failed with status " + status + " and no error object",
                 end.errors.empty() ? end.output : end.errors);
}

cni::Outcome<std::string> run(const DelegateCall& call) {
  Program program{.path = find_program(call),
                  .environment = call.environment,
                  .input = call.config,
                  .bound = bound_of(call.command)};
  if (program.path.empty()) return not_found(call);
  std::erase_if(program.environment, [](const auto& one) { return one.starts_with(kCommand); });
  program.environment.push_back(std::string(kCommand) + std::string(to_string(call.command)));
  Result<ProgramEnd> end = run_program(program);
  if (!end) {
    const bool slow = end.error().code == ErrorCode::timeout;
    return failure(call, slow ? cni::Code::try_later : cni::Code::io_failure, "cannot be used",
                   end.error().text);
  }
  if (end->status != 0) return its_error(call, *end);
  return std::move(end->output);
}

// A plugin need not name a gateway, a pod's port needs one: the subnet's first address,
// as kubenet has it, or where there is none a link-local one.
IpAddress gateway_for(const cni::AddressConfig& ip) {
  if (!ip.gateway.is_none()) return ip.gateway;
  if (ip.length > ip.address.bits() - 2) {
    return *parse_address(ip.address.is_ip4() ? "169.254.1.1" : "fe80::1");
  }
  const IpPrefix subnet = make_prefix(ip.address, ip.length);
  return address_of(number_of(subnet.address) + 1, ip.address.family);
}

cni::Outcome<std::vector<Lease>> read_leases(const cni::Result& result, const Attachment& row) {
  std::vector<Lease> leases;
  for (const cni::AddressConfig& ip : result.ips) {
    Lease lease{.address = ip.address,
                .network = row.network,
                .attachment = row.id,
                .length = ip.length,
                .gateway = gateway_for(ip),
                .source = LeaseSource::delegated,
                .position = static_cast<uint32_t>(leases.size())};
    if (lease.gateway == lease.address) {
      return cni::Error{cni::Code::invalid_config,
                        "the IPAM plugin gave " + to_string(ip.address) + " and no other gateway",
                        "let it give one that is not the pod's own address"};
    }
    leases.push_back(std::move(lease));
  }
  if (leases.empty() || leases.size() > api::kMaxPortAddresses) {
    return cni::Error{cni::Code::invalid_config,
                      "the IPAM plugin gave " + std::to_string(leases.size()) + " addresses",
                      "an interface takes 1 to 8"};
  }
  return leases;
}

}  // namespace

DelegateCall delegate_call(cni::Command command, const cni::NetworkConfig& config,
                           const cni::Request& request) {
  return {.command = command,
          .type = config.ipam_type,
          .config = request.config,
          .environment = environment_of(request.environment)};
}

std::optional<DelegateCall> delegate_del_call(const Attachment& row) {
  const auto config = cni::parse_network_config(row.config, cni::Command::del);
  if (!config || !cni::delegates_ipam(*config)) return std::nullopt;
  DelegateCall call{.command = cni::Command::del,
                    .type = config->ipam_type,
                    .config = row.config,
                    .environment = {}};
  const auto variables = cni::parse_json(row.environment, cni::Keys::verbatim);
  if (!variables || !variables->is_array()) return call;
  for (const cni::Json& one : *variables) {
    if (one.is_string()) call.environment.push_back(one.get<std::string>());
  }
  return call;
}

std::string pack_environment(const cni::Environment& environment) {
  return cni::Json(environment_of(environment)).dump();
}

std::optional<cni::Error> check_delegate(const DelegateCall& call) {
  if (!find_program(call).empty()) return std::nullopt;
  return not_found(call);
}

Task<cni::Outcome<std::string>> run_delegate(Controller& controller, DelegateCall call) {
  const auto work = [&call] { return run(call); };
  co_return co_await controller.delegates.run(work);
}

cni::Outcome<Delegated> read_delegated(const std::string& output, const Attachment& row) {
  const auto document = cni::parse_json(output);
  auto result =
      document ? cni::parse_result(*document) : cni::Outcome<cni::Result>(document.error());
  if (!result) {
    return cni::Error{cni::Code::decoding_failure, "the IPAM plugin printed no valid result",
                      result.error().msg};
  }
  auto leases = read_leases(*result, row);
  if (!leases) return leases.error();
  return Delegated{*std::move(leases), result->routes, result->dns};
}

}  // namespace weir::control
