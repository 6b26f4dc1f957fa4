#include "dataplane/ports/vhost/device.h"

#include <fcntl.h>

#include "dataplane/ports/memif/interrupts.h"
#include "dataplane/ports/vhost/packed_ring.h"
#include "dataplane/ports/vhost/split_ring.h"

namespace weir::dataplane::vhost {

namespace {

constexpr uint64_t kLeastMtu = 68;
constexpr uint64_t kMostMtu = 65535;

Error refuse(std::string reason) { return {ErrorCode::invalid_argument, std::move(reason)}; }

// Payload of each message; nothing for one that we do not know.
std::optional<size_t> payload_of(const Message& message) noexcept {
  switch (message.header.request) {
    case Request::get_features:
    case Request::set_owner:
    case Request::reset_owner:
    case Request::get_protocol_features:
    case Request::get_queue_num: return 0;
    case Request::set_features:
    case Request::set_protocol_features:
    case Request::set_vring_kick:
    case Request::set_vring_call:
    case Request::set_vring_err:
    case Request::send_rarp:
    case Request::net_set_mtu: return sizeof message.number;
    case Request::set_vring_num:
    case Request::set_vring_base:
    case Request::get_vring_base:
    case Request::set_vring_enable: return sizeof message.state;
    case Request::set_vring_addr: return sizeof message.address;
    case Request::set_mem_table:
      return message.memory.count <= kMaxRegions
                 ? offsetof(MemoryTable, regions) + message.memory.count * sizeof(MemoryRegion)
                 : 0;
  }
  return std::nullopt;
}

size_t files_of(const Message& message) noexcept {
  switch (message.header.request) {
    case Request::set_mem_table: return message.memory.count;
    case Request::set_vring_kick:
    case Request::set_vring_call:
    case Request::set_vring_err: return (message.number & kVringNoFd) != 0 ? 0 : 1;
    default: return 0;
  }
}

Status check(const Message& message, const std::vector<api::Fd>& files) {
  const auto type = std::to_string(static_cast<uint32_t>(message.header.request));
  const std::optional<size_t> payload = payload_of(message);
  if (!payload) return refuse("unexpected message of type " + type);
  if (message.header.size < *payload) return refuse("message of type " + type + " is too short");
  if (message.header.size > *payload)
    return refuse("message of type " + type + " is too long");
  if (files.size() != files_of(message))
    return refuse("message of type " + type + " with a wrong number of file descriptors");
  return {};
}

api::Fd copy_of(const api::Fd& file) {
  return api::Fd(file ? fcntl(file.get(), F_DUPFD_CLOEXEC, 0) : -1);
}

template <class Ring>
Result<RingPlace> place_in(const Memory& memory, uint32_t size, const VringAddress& address) {
  if (!Ring::size_is_good(size)) return refuse("vring size is not a power of two");
  std::byte* const descriptors =
      memory.at_user(address.descriptors, sizeof(DescriptorSlot) * uint64_t{size});
  std::byte* const driver = memory.at_user(address.driver, Ring::driver_bytes(size));
  std::byte* const device = memory.at_user(address.device, Ring::device_bytes(size));
  if (descriptors == nullptr || driver == nullptr || device == nullptr)
    return refuse("vring lies outside the memory table");
  if (address.descriptors % sizeof(DescriptorSlot) != 0 || address.driver % 4 != 0 ||
      address.device % 4 != 0 || reinterpret_cast<uintptr_t>(descriptors) % 16 != 0 ||
      reinterpret_cast<uintptr_t>(driver) % 4 != 0 || reinterpret_cast<uintptr_t>(device) % 4 != 0)
    return refuse("vring is not aligned");
  return RingPlace{.descriptors = reinterpret_cast<DescriptorSlot*>(descriptors),
                   .driver = driver,
                   .device = device,
                   .size = static_cast<uint16_t>(size)};
}

}  // namespace

bool Device::disturbs(const Message& message) const noexcept {
  switch (message.header.request) {
    case Request::set_features:
    case Request::reset_owner:
    case Request::set_mem_table:
    case Request::set_vring_num:
    case Request::set_vring_addr:
    case Request::set_vring_base:
    case Request::get_vring_base:
    case Request::set_vring_enable: return true;
    default: return false;
  }
}

Result<std::optional<Message>> Device::receive(const Message& message,
                                               std::vector<api::Fd>& files) {
  if (Status good = check(message, files); !good) return good.error();
  switch (message.header.request) {
    case Request::get_features:
      return answer(message, config_.pairs > 1 ? kFeatures : kFeatures & ~kNetMultiqueue);
    case Request::get_protocol_features: return answer(message, kProtocolFeatures);
    case Request::get_queue_num: return answer(message, config_.pairs);
    case Request::get_vring_base: return get_base(message);
    default: break;
  }
  if (Status applied = apply(message, files); !applied) return applied.error();
  return done(message);
}

Result<std::optional<Message>> Device::answer(const Message& message, uint64_t number) const {
  Message reply{};
  reply.header = {message.header.request, kVersion | kFlagReply, sizeof number};
  reply.number = number;
  return std::optional(reply);
}

// For messages without a reply of their own, when the front-end asks for one.
Result<std::optional<Message>> Device::done(const Message& message) const {
  const bool asked = (message.header.flags & kFlagNeedReply) != 0 &&
                     (protocol_features_ & kProtocolReplyAck) != 0;
  if (!asked) return std::optional<Message>();
  return answer(message, 0);
}

Status Device::apply(const Message& message, std::vector<api::Fd>& files) {
  switch (message.header.request) {
    case Request::set_features: return set_features(message.number);
    case Request::set_protocol_features:
      if ((message.number & ~kProtocolFeatures) != 0)
        return refuse("protocol features that were not offered");
      protocol_features_ = message.number;
      return {};
    case Request::reset_owner:
      vrings_ = std::vector<Vring>(vrings_.size());
      return {};
    case Request::set_mem_table: return set_memory(message.memory, files);
    case Request::set_vring_num:
    case Request::set_vring_addr:
    case Request::set_vring_base:
    case Request::set_vring_enable: return set_vring(message);
    case Request::set_vring_kick:
    case Request::set_vring_call:
    case Request::set_vring_err: return set_file(message, files);
    case Request::net_set_mtu:
      if (message.number < kLeastMtu || message.number > kMostMtu)
        return refuse("MTU is not 68 to 65535");
      return {};
    default: return {};  // set_owner and send_rarp: nothing to do, the MAC is the lease's
  }
}

Status Device::set_features(uint64_t features) {
  if ((features & ~kFeatures) != 0) return refuse("features that were not offered");
  if ((features & kPackedRing) != 0 && (features & kVersion1) == 0)
    return refuse("packed rings need virtio 1");
  features_ = features;
  return {};
}

Status Device::set_memory(const MemoryTable& table, std::vector<api::Fd>& files) {
  if (table.count == 0 || table.count > kMaxRegions)
    return refuse("memory table has not 1 to 8 regions");
  auto memory = Memory::map(std::span(table.regions).first(table.count), files, config_.trusted);
  if (!memory) return memory.error();
  files.clear();  // shared memory: closing it waits for nobody
  memory_ = std::move(*memory);
  return {};
}

Status Device::set_vring(const Message& message) {
  const Request request = message.header.request;
  // The index comes first in both.
  if (message.state.index >= vrings_.size()) return refuse("vring index beyond the queues");
  Vring& vring = vrings_[message.state.index];
  const uint32_t value = message.state.num;
  if (request == Request::set_vring_addr) {
    vring.address = message.address;
  } else if (request == Request::set_vring_num) {
    if (value == 0 || value > kMaxRing) return refuse("vring size is not 1 to 32768");
    vring.size = value;
  } else if (request == Request::set_vring_base) {
    vring.base = static_cast<uint16_t>(value);  // a packed ring's used place is the same
  } else {
    vring.enabled = value != 0;
  }
  return {};
}

Status Device::set_file(const Message& message, std::vector<api::Fd>& files) {
  const uint64_t index = message.number & kVringIndexMask;
  if (index >= vrings_.size()) return refuse("vring index beyond the queues");
  if (!files.empty() && !memif::is_eventfd(files[0].get()))
    return refuse("vring's file descriptor is not an eventfd");
  api::Fd file = files.empty() ? api::Fd() : std::move(files[0]);
  files.clear();
  if (message.header.request == Request::set_vring_call) {
    vrings_[index].call = std::move(file);
  } else if (message.header.request == Request::set_vring_kick) {
    if (!file) return refuse("vring without a kick descriptor: weir does not poll while idle");
    vrings_[index].kick = std::move(file);
  }
  return {};
}

// Stops the vring, as the specification has it.
Result<std::optional<Message>> Device::get_base(const Message& message) {
  if (message.state.index >= vrings_.size()) return refuse("vring index beyond the queues");
  Vring& vring = vrings_[message.state.index];
  vring.kick.reset();
  Message reply{};
  reply.header = {message.header.request, kVersion | kFlagReply, sizeof reply.state};
  const uint32_t base = vring.base;
  reply.state = {message.state.index, (features_ & kPackedRing) != 0 ? base | base << 16 : base};
  return std::optional(reply);
}

bool Device::runs(const Vring& vring) const noexcept {
  const bool enabled = vring.enabled || (features_ & kVhostProtocol) == 0;
  return enabled && vring.size > 0 && vring.address && vring.kick && memory_ != nullptr;
}

uint8_t Device::ready_pairs() const noexcept {
  uint8_t pairs = 0;
  while (size_t{pairs} * 2 < vrings_.size() && runs(vrings_[size_t{pairs} * 2]) &&
         runs(vrings_[size_t{pairs} * 2 + 1]))
    ++pairs;
  return pairs;
}

Result<std::vector<PairPlace>> Device::places() const {
  std::vector<PairPlace> pairs(ready_pairs());
  for (size_t i = 0; i < 2 * pairs.size(); ++i) {
    Result<RingPlace> found = place(vrings_[i]);
    if (!found) return found.error();
    (i % 2 == 0 ? pairs[i / 2].receive : pairs[i / 2].transmit) = *found;
  }
  return pairs;
}

Result<RingPlace> Device::place(const Vring& vring) const {
  Result<RingPlace> found = (features_ & kPackedRing) != 0
                                ? place_in<PackedRing>(*memory_, vring.size, *vring.address)
                                : place_in<SplitRing>(*memory_, vring.size, *vring.address);
  if (found) found->base = vring.base;
  return found;
}

void Device::set_base(uint8_t vring, uint16_t base) noexcept { vrings_[vring].base = base; }

std::vector<api::Fd> Device::kicks() const {
  std::vector<api::Fd> files;
  for (const Vring& vring : vrings_) files.push_back(copy_of(vring.kick));
  return files;
}

std::vector<api::Fd> Device::calls() const {
  std::vector<api::Fd> files;
  for (const Vring& vring : vrings_) files.push_back(copy_of(vring.call));
  return files;
}

}  // namespace weir::dataplane::vhost
