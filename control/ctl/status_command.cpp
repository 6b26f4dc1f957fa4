// weirctl status | version
#include "control/ctl/program.h"
#include "control/ctl/status_view.h"
#include "control/ctl/table.h"

namespace weir::ctl {
namespace {

Result<DataplaneAnswer> ask_dataplane(const Session& session) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto status = client->status();
  if (!status) return status.error();
  return DataplaneAnswer{client->peer(), *status};
}

// Shows what answers; fails with the first daemon that does not.
Status show_status(Session& session) {
  const auto dataplane = ask_dataplane(session);
  const auto control = session.control("status");
  if (const Status shown = show(session, status_json, status_text, dataplane, control); !shown) {
    return shown;
  }
  if (!dataplane) return dataplane.error();
  if (!control) return control.error();
  return {};
}

Status show_version(Session& session) {
  auto client = session.dataplane();
  const std::string build = client ? field_text(client->peer().build) : "";
  const auto to_json = [](const std::string& dataplane) {
    return Json{{"weirctl", WEIR_VERSION},
                {"weir_dataplane", dataplane.empty() ? Json(nullptr) : Json(dataplane)}};
  };
  const auto to_text = [](const std::string& dataplane) {
    Fields fields;
    fields.add("weirctl", WEIR_VERSION);
    fields.add("weir-dataplane", dataplane.empty() ? "does not answer" : dataplane);
    return fields.text();
  };
  return show(session, to_json, to_text, build);
}

}  // namespace

void add_status_commands(Program& program) {
  program.verb(program.root(), "status", "state of both daemons; fails when one does not answer",
               show_status);
  program.verb(program.root(), "version", "version of this program and of the running dataplane",
               show_version);
}

}  // namespace weir::ctl
