// weirctl service apply | delete | list | show | explain
#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "control/ctl/json_view.h"
#include "control/ctl/program.h"
#include "control/ctl/service_view.h"

namespace weir::ctl {
namespace {

// weir-control takes no longer request.
constexpr size_t kMaxText = size_t{8} << 20;

struct NameOption {
  std::string name;
  std::string space;

  // "web", or "shop/web".
  Json params() const {
    const size_t slash = name.find('/');
    if (slash == std::string::npos) return {{"namespace", space}, {"name", name}};
    return {{"namespace", name.substr(0, slash)}, {"name", name.substr(slash + 1)}};
  }
};

// Bounded: the input may be a device or a pipe without end.
Result<std::string> read_text(std::istream& stream, const std::string& name) {
  std::string text(kMaxText + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return {ErrorCode::io, "cannot read " + name + ": check the file"};
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() <= kMaxText) return text;
  return {ErrorCode::limit, name +
                                " is larger than 8 MiB: split it, or put it into the directory "
                                "that services.directory of weir.json names"};
}

Result<std::string> read_document(const std::string& file) {
  if (file == "-") return read_text(std::cin, "the standard input");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return errno_error("cannot read " + file, errno);
  return read_text(stream, file);
}

// weir-control keeps it even when the dataplane cannot have it yet: said, but no failure.
void warn_unsent(Session& session, const Json& answer) {
  if (session.json || member(answer, "sent") != false) return;
  session.err << "weirctl: kept, but the dataplane does not have it yet: "
              << printable(cell_of(member(answer, "reason"))) << "\n";
}

Status apply_file(Session& session, const std::string& file) {
  const auto text = read_document(file);
  if (!text) return text.error();
  const auto answer = session.control("service.apply", {{"text", *text}});
  if (!answer) return answer.error();
  warn_unsent(session, *answer);
  return show(session, same_json, applied_text, *answer);
}

Status delete_service(Session& session, const NameOption& name) {
  const auto answer = session.control("service.delete", name.params());
  if (!answer) return answer.error();
  warn_unsent(session, *answer);
  return show(
      session, same_json,
      [](const Json& one) { return cell_of(member(one, "objects")) + " deleted\n"; }, *answer);
}

Status list(Session& session) {
  const auto answer = session.control("service.list");
  if (!answer) return answer.error();
  return show(session, same_json, services_text, *answer);
}

using View = std::string (*)(const Json&);

void add_named(Program& program, CLI::App* service, const char* verb, const char* description,
               std::function<Status(Session&, const NameOption&)> action) {
  const auto name = std::make_shared<NameOption>();
  CLI::App* command = program.verb(
      service, verb, description,
      [name, action = std::move(action)](Session& session) { return action(session, *name); });
  command->add_option("name", name->name, "NAME or NAMESPACE/NAME")->type_name("NAME")->required();
  command->add_option("-n,--namespace", name->space, "where NAME is (default: default)")
      ->type_name("NAMESPACE");
}

std::function<Status(Session&, const NameOption&)> ask(const char* method, View view) {
  return [method, view](Session& session, const NameOption& name) {
    const auto answer = session.control(method, name.params());
    if (!answer) return Status(answer.error());
    return show(session, same_json, view, *answer);
  };
}

}  // namespace

void add_service_commands(Program& program) {
  CLI::App* service = program.noun("service", "services and their endpoints");
  program.verb(service, "list", "one line for each service", list);
  add_named(program, service, "show", "a service's addresses and whom they lead to",
            ask("service.show", service_text));
  add_named(program, service, "explain", "each endpoint, and why it is used or not",
            ask("service.explain", explanation_text));
  const auto file = std::make_shared<std::string>();
  program
      .verb(service, "apply", "adds or replaces what a JSON file holds; kept over restarts",
            [file](Session& session) { return apply_file(session, *file); })
      ->add_option("-f,--filename", *file, "the file, - for the standard input")
      ->type_name("FILE")
      ->required();
  add_named(program, service, "delete", "removes an applied service and its endpoints", delete_service);
}

}  // namespace weir::ctl
