#include "control/store/store.h"

#include <chrono>
#include <fstream>

#include "control/store/codec.h"

namespace weir::control {

namespace {

constexpr char kBootId[] = "boot_id";
constexpr char kNodeUuid[] = "node_uuid";
constexpr char kGeneration[] = "generation";
constexpr char kQuarantined[] = "quarantined";

#define WEIR_ATTACHMENT_COLUMNS                                                                \
  "id, network, container_id, ifname, netns, port_kind, mac, mtu, config, args, cni_version, " \
  "result, pod_name, pod_namespace, state, created, environment"

Result<Attachment> read_attachment(const Query& row) {
  Attachment a;
  a.id = static_cast<uint64_t>(row.integer(0));
  a.network = row.text(1);
  a.container_id = row.text(2);
  a.ifname = row.text(3);
  a.netns = row.text(4);
  a.kind = static_cast<api::PortKind>(row.integer(5));
  const bool mac_read = read_blob(row.blob(6), a.mac);
  a.mtu = static_cast<uint16_t>(row.integer(7));
  a.config = row.text(8);
  a.args = row.text(9);
  a.cni_version = row.text(10);
  a.result = row.text(11);
  a.pod_name = row.text(12);
  a.pod_namespace = row.text(13);
  a.state = static_cast<AttachmentState>(row.integer(14));
  a.created = row.integer(15);
  a.environment = row.text(16);
  const bool state_known = row.integer(14) >= 1 && row.integer(14) <= 3;
  const bool kind_known = row.integer(5) >= 1 && row.integer(5) <= 5;
  if (a.id == 0 || !mac_read || !state_known || !kind_known) {
    return row.damaged("attachment " + std::to_string(a.id) + " makes no sense");
  }
  return a;
}

Result<std::optional<Attachment>> first_attachment(Result<Query> query) {
  if (!query) return query.error();
  const auto row = query->next();
  if (!row) return row.error();
  if (!*row) return std::optional<Attachment>();
  auto attachment = read_attachment(*query);
  if (!attachment) return attachment.error();
  return std::optional<Attachment>(std::move(*attachment));
}

// RFC 9562 random UUID, made by the kernel.
std::string random_uuid() {
  std::ifstream stream("/proc/sys/kernel/random/uuid");
  std::string text;
  std::getline(stream, text);
  return text;
}

std::string attachment_name(const Attachment& a) {
  return a.container_id + "/" + a.ifname + " of network " + a.network;
}

}  // namespace

UnixMillis unix_millis() noexcept {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Store::Store(std::string path, std::unique_ptr<Database> database)
    : path_(std::move(path)), database_(std::move(database)) {}
Store::~Store() = default;

Result<Transaction> Store::begin(Durability durability) {
  return Transaction::begin(*database_, durability);
}
bool Store::in_transaction() const noexcept { return database_->in_transaction(); }
uint64_t Store::rollbacks() const noexcept { return database_->rollbacks(); }

Result<uint64_t> Store::add_attachment(const Attachment& a) {
  const UnixMillis created = a.created == 0 ? unix_millis() : a.created;
  // A NULL id makes SQLite choose the next one.
  Status status = database_->run(
      "INSERT INTO attachments (" WEIR_ATTACHMENT_COLUMNS
      ") VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
      "?17)",
      static_cast<int64_t>(a.id), a.network, a.container_id, a.ifname, a.netns,
      static_cast<int64_t>(a.kind), blob_of(a.mac), int64_t{a.mtu}, a.config, a.args, a.cni_version,
      a.result, a.pod_name, a.pod_namespace, static_cast<int64_t>(a.state), created, a.environment);
  if (status) return static_cast<uint64_t>(database_->last_insert_id());
  if (status.error().code != ErrorCode::exists) return status.error();
  return Error{ErrorCode::exists,
               "there is an attachment " + attachment_name(a) + " already; delete it first"};
}

Status Store::update_attachment(const Attachment& a) {
  Status status = database_->run(
      "UPDATE attachments SET network = ?2, container_id = ?3, ifname = ?4, netns = ?5, port_kind "
      "= ?6, "
      "mac = ?7, mtu = ?8, config = ?9, args = ?10, cni_version = ?11, result = ?12, pod_name = "
      "?13, "
      "pod_namespace = ?14, state = ?15, environment = ?16 WHERE id = ?1",
      static_cast<int64_t>(a.id), a.network, a.container_id, a.ifname, a.netns,
      static_cast<int64_t>(a.kind), blob_of(a.mac), int64_t{a.mtu}, a.config, a.args, a.cni_version,
      a.result, a.pod_name, a.pod_namespace, static_cast<int64_t>(a.state), a.environment);
  if (!status || database_->changes() > 0) return status;
  return Status(ErrorCode::not_found, "there is no attachment " + attachment_name(a));
}

Status Store::set_attachment_state(uint64_t id, AttachmentState state) {
  auto transaction = begin(Durability::process);
  if (!transaction) return transaction.error();
  Status status = database_->run("UPDATE attachments SET state = ?2 WHERE id = ?1",
                                 static_cast<int64_t>(id), static_cast<int64_t>(state));
  if (!status) return status;
  if (database_->changes() > 0) return transaction->commit();
  return Status(ErrorCode::not_found, "there is no attachment " + std::to_string(id));
}

Status Store::delete_attachment(uint64_t id) {
  Status status = database_->run("DELETE FROM attachments WHERE id = ?1", static_cast<int64_t>(id));
  if (status || status.error().code != ErrorCode::exists) return status;
  return Status(ErrorCode::exists,
                "attachment " + std::to_string(id) + " still holds an address; release it first");
}

Result<std::optional<Attachment>> Store::find_attachment(uint64_t id) {
  return first_attachment(database_->query("SELECT " WEIR_ATTACHMENT_COLUMNS
                                           " FROM attachments WHERE id = ?1",
                                           static_cast<int64_t>(id)));
}

Result<std::optional<Attachment>> Store::find_attachment(const std::string& network,
                                                         const std::string& container_id,
                                                         const std::string& ifname) {
  return first_attachment(
      database_->query("SELECT " WEIR_ATTACHMENT_COLUMNS
                       " FROM attachments WHERE network = ?1 AND container_id = ?2 AND ifname = ?3",
                       network, container_id, ifname));
}

Result<std::vector<Attachment>> Store::attachments() {
  auto query = database_->query("SELECT " WEIR_ATTACHMENT_COLUMNS " FROM attachments ORDER BY id");
  if (!query) return query.error();
  std::vector<Attachment> all;
  while (true) {
    const auto row = query->next();
    if (!row) return row.error();
    if (!*row) return all;
    auto attachment = read_attachment(*query);
    if (!attachment) return attachment.error();
    all.push_back(std::move(*attachment));
  }
}

Result<uint64_t> Store::count_pods() {
  auto query = database_->query("SELECT count(*) FROM attachments WHERE port_kind <> ?1",
                                static_cast<int64_t>(api::PortKind::host));
  if (!query) return query.error();
  const auto row = query->next();
  if (!row) return row.error();
  return *row ? static_cast<uint64_t>(query->integer(0)) : 0;
}

Result<std::string> Store::meta(const std::string& key) {
  auto query = database_->query("SELECT value FROM meta WHERE key = ?1", key);
  if (!query) return query.error();
  const auto row = query->next();
  if (!row) return row.error();
  return *row ? query->text(0) : std::string();
}

Status Store::set_meta(const std::string& key, const std::string& value) {
  return database_->run("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", key, value);
}

Result<std::string> Store::boot_id() { return meta(kBootId); }
Status Store::set_boot_id(const std::string& boot_id) { return set_meta(kBootId, boot_id); }
Result<std::string> Store::node_uuid() { return meta(kNodeUuid); }

Result<uint64_t> Store::next_generation() {
  const auto last = meta(kGeneration);
  if (!last) return last.error();
  const uint64_t next = std::strtoull(last->c_str(), nullptr, 10) + 1;
  if (Status status = set_meta(kGeneration, std::to_string(next)); !status) return status.error();
  return next;
}

Status Store::finish_recovery() {
  Status status = set_meta(kQuarantined, "");
  if (status) quarantined_.clear();
  return status;
}

Status Store::prepare(const std::string& quarantined) {
  const auto uuid = node_uuid();
  if (!uuid) return uuid.error();
  if (uuid->empty()) {
    auto transaction = begin();
    if (!transaction) return transaction.error();
    if (Status s = set_meta(kNodeUuid, random_uuid()); !s) return s;
    if (Status s = set_meta(kQuarantined, quarantined); !s) return s;
    // The clock keeps numbers from coming back that a lost store had given out and that a
    // running dataplane may still know. Ids start there only after damage: small ones read better.
    const std::string now = std::to_string(unix_millis());
    if (Status s = set_meta(kGeneration, now); !s) return s;
    if (!quarantined.empty()) {
      Status s = database_->execute(
          "INSERT INTO sqlite_sequence (name, seq) VALUES ('attachments', " + now + ")");
      if (!s) return s;
    }
    if (Status s = transaction->commit(); !s) return s;
  }
  auto damaged_file = meta(kQuarantined);
  if (!damaged_file) return damaged_file.error();
  quarantined_ = std::move(*damaged_file);
  return {};
}

Status Store::read_all() {
  if (auto all = attachments(); !all) return all.error();
  if (auto all = leases(); !all) return all.error();
  if (auto all = cursors(); !all) return all.error();
  if (auto all = routes(); !all) return all.error();
  if (auto all = objects(); !all) return all.error();
  return {};
}

}  // namespace weir::control
