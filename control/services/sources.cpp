#include "control/services/sources.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "cni/network_config.h"
#include "control/services/parse.h"
#include "control/services/service_sync.h"

namespace weir::control {

namespace {

namespace fs = std::filesystem;
using cni::Json;

constexpr char kLabelsArgument[] = "WEIR_LABELS";    // of CNI_ARGS
constexpr char kLabelsAnnotation[] = "weir/labels";  // of the pod

// What an older weir had kept may be refused today: it is named and left out.
void load_stored(Controller& controller, const std::vector<StoredObject>& stored) {
  ServiceObjects objects;
  for (const StoredObject& object : stored) {
    if (object.kind != "Service" && object.kind != "EndpointSlice") continue;
    const auto document = cni::parse_json(object.document, cni::Keys::verbatim);
    const auto parsed = document ? parse_object(*document, objects) : document.error();
    if (parsed) continue;
    spdlog::error("services: {} {}/{} of the store is left out: {}", object.kind, object.space,
                  object.name, parsed.error().msg);
  }
  controller.services.replace(ServiceSource::operator_given, std::move(objects));
}

// Sorted, so that of two files with one object it is always the same that counts.
cni::Outcome<std::vector<std::string>> files_of(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path().string());
  }
  if (error) {
    return cni::Error{cni::Code::io_failure, "cannot list " + directory + ": " + error.message(),
                      "make the directory, or set another services.directory"};
  }
  std::ranges::sort(files);
  return files;
}

// One byte more than allowed is read, for the parser to refuse the file.
cni::Outcome<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(cni::kMaxDocument + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file && !file.eof()) {
    return cni::Error{cni::Code::io_failure, "cannot read " + path, "check its permissions"};
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::optional<cni::Error> append_file(const std::string& path, ServiceObjects& objects) {
  const auto text = read_file(path);
  if (!text) return text.error();
  auto parsed = parse_objects(*text);
  if (!parsed) {
    cni::Error error = parsed.error();
    error.msg = path + ": " + error.msg;
    return error;
  }
  std::ranges::move(parsed->services, std::back_inserter(objects.services));
  std::ranges::move(parsed->slices, std::back_inserter(objects.slices));
  return std::nullopt;
}

void complain(const cni::Error& error) {
  spdlog::error("services: {}{}{}", error.msg, error.details.empty() ? "" : ": ", error.details);
}

// One bad file must not keep the others' services away.
void load_directory(Controller& controller) {
  const std::string& directory = controller.config.services.directory;
  if (directory.empty()) return;
  const auto files = files_of(directory);
  if (!files) {
    complain(files.error());
    return;
  }
  ServiceObjects objects;
  for (const std::string& file : *files) {
    if (const auto wrong = append_file(file, objects)) complain(*wrong);
  }
  controller.services.replace(ServiceSource::directory, std::move(objects));
}

// Of a row that an ADD admitted, so errors here mean an older weir's row: no labels then.
Labels labels_of(const Attachment& row) {
  cni::Environment environment{.command = cni::Command::del,
                               .container_id = row.container_id,
                               .ifname = row.ifname,
                               .args = row.args};
  Labels labels;
  if (!cni::check_environment(environment)) {
    labels = parse_labels(environment.arguments.get(kLabelsArgument), ':');
  }
  const auto config = cni::parse_network_config(row.config, cni::Command::del);
  if (!config) return labels;
  const auto annotation = config->runtime.pod_annotations.find(kLabelsAnnotation);
  if (annotation != config->runtime.pod_annotations.end()) {
    labels.merge(parse_labels(annotation->second, '='));
  }
  return labels;
}

// The configuration is kept with the attachment; its mappings are those of the ADD.
std::vector<ServicePort> host_ports_of(const Attachment& row) {
  std::vector<ServicePort> ports;
  const auto config = cni::parse_network_config(row.config, cni::Command::del);
  if (!config) return ports;
  for (const cni::PortMapping& mapping : config->runtime.port_mappings) {
    if (mapping.host_port == 0) continue;
    ports.push_back({.name = std::to_string(mapping.host_port) + "-" + mapping.protocol,
                     .protocol = protocol_of(mapping.protocol),
                     .port = mapping.host_port,
                     .target = mapping.container_port,
                     .host_ip = mapping.host_ip});
  }
  return ports;
}

void load_pods(Controller& controller) {
  const auto rows = controller.store.attachments();
  if (!rows) {
    spdlog::error("services: {}", rows.error().text);
    return;
  }
  for (const Attachment& row : *rows) {
    if (row.state == AttachmentState::ready) pod_attached(controller, row);
  }
}

}  // namespace

std::vector<StoredObject> read_stored(Controller& controller) {
  auto stored = controller.store.objects();
  if (stored) return *std::move(stored);
  spdlog::error("services: {}", stored.error().text);
  return {};
}

void load_services(Controller& controller, const std::vector<StoredObject>& stored) {
  controller.services.set_node(read_node_facts(controller));
  load_stored(controller, stored);
  load_directory(controller);
  load_pods(controller);
}

cni::Outcome<size_t> reload_directory(Controller& controller) {
  const auto files = files_of(controller.config.services.directory);
  if (!files) return files.error();
  ServiceObjects objects;
  for (const std::string& file : *files) {
    if (const auto wrong = append_file(file, objects)) return *wrong;
  }
  controller.services.replace(ServiceSource::directory, std::move(objects));
  controller.service_sync.changed();
  return files->size();
}

void pod_attached(Controller& controller, const Attachment& row) {
  if (row.container_id == kHostContainerId) return;
  Labels labels = labels_of(row);
  const auto leases = controller.store.leases_of(row.id);
  std::vector<ServicePort> ports = host_ports_of(row);
  if ((labels.empty() && ports.empty()) || !leases) return;
  AttachedPod pod{.name = {row.pod_namespace, row.pod_name},
                  .labels = std::move(labels),
                  .addresses = {},
                  .host_ports = std::move(ports)};
  if (pod.name.space.empty()) pod.name.space = kDefaultNamespace;
  if (pod.name.name.empty()) pod.name.name = row.container_id;
  for (const Lease& lease : *leases) pod.addresses.push_back(lease.address);
  controller.services.set_pod(row.id, std::move(pod));
  controller.service_sync.changed();
}

void pod_detached(Controller& controller, uint64_t attachment) {
  controller.services.remove_pod(attachment);
  controller.service_sync.changed();
}

}  // namespace weir::control
