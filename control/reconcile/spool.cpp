#include "control/reconcile/spool.h"

#include <spdlog/spdlog.h>

#include "cni/fault/fault.h"
#include "cni/spool.h"
#include "control/cni/del.h"

namespace weir::control {

namespace {

constexpr char kSpoolLock[] = "spool";  // no attachment's: those hold slashes

Task<> carry_out(Controller& controller, cni::SpoolEntry entry) {
  if (entry.request) {
    const auto done = co_await delete_attachment(controller, *entry.request);
    if (!done) spdlog::warn("spooled DEL {}: {}", entry.file, done.error().msg);
  } else {
    // It cannot be read the next time either.
    spdlog::warn("spooled DEL {} is dropped: {}", entry.file, entry.request.error().msg);
  }
  WEIR_FAULT_POINT("drain.done");
  const Status removed = cni::remove_spool(controller.paths.spool_dir(), entry.file);
  if (!removed) spdlog::warn("spooled DEL {} stays: {}", entry.file, removed.error().text);
  WEIR_FAULT_POINT("drain.removed");
}

}  // namespace

Task<> drain_spool(Controller& controller) {
  const auto lock = co_await controller.locks.lock(kSpoolLock);
  const std::string directory = controller.paths.spool_dir();
  // The same disk as the store's, so this look needs no thread of the pool.
  if (cni::spool_is_empty(directory)) co_return;
  auto entries = co_await controller.pool.run([&directory] { return cni::read_spool(directory); });
  if (!entries) {
    spdlog::warn("cannot read the spool: {}", entries.error().text);
    co_return;
  }
  for (cni::SpoolEntry& entry : *entries) co_await carry_out(controller, std::move(entry));
}

}  // namespace weir::control
