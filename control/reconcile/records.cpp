#include "control/reconcile/records.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "cni/json.h"

namespace weir::control {

namespace {

namespace fs = std::filesystem;
using cni::Json;

constexpr char kSuffix[] = ".json";
constexpr size_t kMaxRecord = size_t{32} << 20;  // an 8 MiB configuration with escapes

std::string name_of(uint64_t id) { return std::to_string(id) + kSuffix; }

Json lease_json(const Lease& lease) {
  return {{"address", to_string(lease.address)},
          {"network", lease.network},
          {"length", lease.length},
          {"gateway", to_string(lease.gateway)},
          {"source", static_cast<int>(lease.source)},
          {"position", lease.position},
          {"reserved_at", lease.reserved_at}};
}

Json record_json(const Record& record) {
  const Attachment& row = record.row;
  Json leases = Json::array();
  for (const Lease& lease : record.leases) leases.push_back(lease_json(lease));
  return {{"boot_id", record.boot_id},
          {"id", row.id},
          {"network", row.network},
          {"container_id", row.container_id},
          {"ifname", row.ifname},
          {"netns", row.netns},
          {"kind", static_cast<int>(row.kind)},
          {"mac", to_string(row.mac)},
          {"mtu", row.mtu},
          {"config", row.config},
          {"args", row.args},
          {"cni_version", row.cni_version},
          {"result", row.result},
          {"pod_name", row.pod_name},
          {"pod_namespace", row.pod_namespace},
          {"created", row.created},
          {"environment", row.environment},
          {"leases", std::move(leases)}};
}

// What is missing or odd shows as a value that complete() refuses.
Lease read_lease(const Json& object) {
  cni::FieldReader reader(object, "lease");
  Lease lease;
  lease.address = parse_address(reader.text("address")).value_or(IpAddress{});
  lease.network = reader.text("network");
  lease.length = static_cast<uint8_t>(reader.integer("length", 0, 128).value_or(0));
  lease.gateway = parse_address(reader.text("gateway")).value_or(IpAddress{});
  lease.source = static_cast<LeaseSource>(reader.integer("source", 1, 2).value_or(1));
  lease.position = static_cast<uint32_t>(reader.integer("position", 0, UINT32_MAX).value_or(0));
  lease.reserved_at = reader.integer("reserved_at", 0, INT64_MAX).value_or(0);
  return lease;
}

Attachment read_row(cni::FieldReader& reader) {
  Attachment row;
  row.id = static_cast<uint64_t>(reader.integer("id", 1, INT64_MAX).value_or(0));
  row.network = reader.text("network");
  row.container_id = reader.text("container_id");
  row.ifname = reader.text("ifname");
  row.netns = reader.text("netns");
  row.kind = static_cast<api::PortKind>(reader.integer("kind", 1, 5).value_or(0));
  row.mac = parse_mac(reader.text("mac")).value_or(MacAddress{});
  row.mtu = static_cast<uint16_t>(reader.integer("mtu", 0, UINT16_MAX).value_or(0));
  row.config = reader.text("config");
  row.args = reader.text("args");
  row.cni_version = reader.text("cni_version");
  row.result = reader.text("result");
  row.pod_name = reader.text("pod_name");
  row.pod_namespace = reader.text("pod_namespace");
  row.created = reader.integer("created", 0, INT64_MAX).value_or(0);
  row.environment = reader.text("environment");
  row.state = AttachmentState::ready;
  return row;
}

bool complete(const Record& record) {
  for (const Lease& lease : record.leases) {
    if (lease.address.is_none()) return false;
  }
  return record.row.id != 0 && !record.row.container_id.empty() &&
         record.row.kind != api::PortKind::none;
}

std::optional<Record> read_record(const fs::path& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto document = cni::parse_json(text, cni::Keys::verbatim, kMaxRecord);
  if (!document || !document->is_object()) return std::nullopt;
  cni::FieldReader reader(*document, "record");
  Record record{.boot_id = reader.text("boot_id"), .row = read_row(reader), .leases = {}};
  const Json* leases = reader.array("leases");
  for (size_t i = 0; leases != nullptr && i < leases->size(); ++i) {
    record.leases.push_back(read_lease((*leases)[i]));
  }
  if (reader.error() || !complete(record)) return std::nullopt;
  return record;
}

Status make_directory(const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return errno_error("cannot make " + directory, errno);
}

Status write_text(const std::string& path, const std::string& text) {
  // 0600: a configuration may hold a memif port's secret.
  const api::Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return errno_error("cannot make " + path, errno);
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(file.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error("cannot write " + path, errno);
    done += static_cast<size_t>(count);
  }
  return {};
}

}  // namespace

std::string current_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  std::getline(file, text);
  return text;
}

Status write_record(const std::string& directory, const Record& record) {
  if (const Status made = make_directory(directory); !made) return made;
  const std::string path = directory + "/" + name_of(record.row.id);
  const std::string text = record_json(record).dump(-1, ' ', false, Json::error_handler_t::replace);
  Status written = write_text(path + ".tmp", text);
  if (written && rename((path + ".tmp").c_str(), path.c_str()) != 0) {
    written = errno_error("cannot rename " + path + ".tmp", errno);
  }
  if (!written) unlink((path + ".tmp").c_str());
  return written;
}

Status remove_record(const std::string& directory, uint64_t id) {
  const std::string path = directory + "/" + name_of(id);
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return errno_error("cannot remove " + path, errno);
}

std::vector<Record> read_records(const std::string& directory) {
  std::vector<Record> records;
  std::error_code none;  // no directory: no record
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, none)) {
    auto record = read_record(entry.path());
    if (record) {
      records.push_back(*std::move(record));
      continue;
    }
    if (entry.path().extension() == kSuffix) {
      spdlog::warn("{} cannot be read and is removed", entry.path().string());
    }
    unlink(entry.path().c_str());
  }
  return records;
}

}  // namespace weir::control
