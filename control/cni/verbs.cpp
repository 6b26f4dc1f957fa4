#include "control/cni/verbs.h"

#include "control/cni/add.h"
#include "control/cni/check.h"
#include "control/cni/del.h"
#include "control/cni/gc.h"
#include "control/cni/status.h"

namespace weir::control {

Task<cni::Outcome<cni::Json>> run_verb(Controller& controller, cni::Command command,
                                       cni::Json params) {
  if (command == cni::Command::version) {
    co_return cni::Json::parse(cni::render_versions());
  }
  auto request = cni::parse_request(command, params);
  if (!request) co_return request.error();
  switch (command) {
    case cni::Command::add: co_return co_await add_attachment(controller, *std::move(request));
    case cni::Command::del: co_return co_await delete_attachment(controller, *std::move(request));
    case cni::Command::check: co_return co_await check_attachment(controller, *std::move(request));
    case cni::Command::gc: co_return co_await collect_garbage(controller, *std::move(request));
    default: co_return co_await network_status(controller, *std::move(request));
  }
}

}  // namespace weir::control
