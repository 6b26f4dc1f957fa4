#include "control/reconcile/adopt.h"

#include <spdlog/spdlog.h>

#include "control/reconcile/records.h"

namespace weir::control {

namespace {

Status adopt(Store& store, Ipam& ipam, const Record& record) {
  Result<Transaction> transaction = store.begin();
  if (!transaction) return transaction.error();
  if (const auto id = store.add_attachment(record.row); !id) return id.error();
  if (const Status claimed = ipam.claim(record.row.id, record.leases); !claimed) return claimed;
  return transaction->commit();
}

}  // namespace

void adopt_recorded(Store& store, Ipam& ipam, const std::string& directory) {
  const std::string boot = current_boot_id();
  for (const Record& record : read_records(directory)) {
    const Attachment& row = record.row;
    const auto there = store.find_attachment(row.id);
    if (!there || *there) continue;
    if (record.boot_id == boot) {
      const Status adopted = adopt(store, ipam, record);
      if (adopted) {
        spdlog::warn("the store had lost {} {}: it is adopted", row.container_id, row.ifname);
        continue;
      }
      spdlog::error("cannot adopt {} {}: {}", row.container_id, row.ifname, adopted.error().text);
    }
    if (const Status removed = remove_record(directory, row.id); !removed) {
      spdlog::warn("{}", removed.error().text);
    }
  }
}

Status record_attachment(const Controller& controller, const Attachment& row,
                         const std::vector<Lease>& leases) {
  return write_record(controller.paths.records_dir(), {current_boot_id(), row, leases});
}

}  // namespace weir::control
