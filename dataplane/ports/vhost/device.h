// What a front-end has said about the device: features, memory and vrings. No sockets here.
//
// The protocol has no fixed order; what each message may say is checked when it comes, and
// whether rings lie in the memory when they start. Anything else is refused with a reason.
#pragma once

#include <optional>
#include <vector>

#include "dataplane/ports/vhost/link.h"
#include "dataplane/ports/vhost/memory.h"
#include "dataplane/ports/vhost/protocol.h"

namespace weir::dataplane::vhost {

struct DeviceConfig {
  uint8_t pairs = 1;     // that are offered, 1..kMaxPairs
  bool trusted = false;  // see Memory
};

class Device {
 public:
  explicit Device(DeviceConfig config) : config_(config), vrings_(size_t{config.pairs} * 2) {}

  // Whether running rings must be at rest before the message is received.
  bool disturbs(const Message& message) const noexcept;
  // The reply, if the message has one, or the reason to refuse the peer. Takes out of `files`
  // what it keeps; the rest is of unknown kind and the caller's.
  Result<std::optional<Message>> receive(const Message& message, std::vector<api::Fd>& files);

  // The pairs that can run: from the first on, up to one that cannot.
  uint8_t ready_pairs() const noexcept;
  // Their rings. Error: they do not lie in the memory.
  Result<std::vector<PairPlace>> places() const;
  const std::shared_ptr<Memory>& memory() const noexcept { return memory_; }
  uint64_t features() const noexcept { return features_; }

  // Where a vring that ran has come to.
  void set_base(uint8_t vring, uint16_t base) noexcept;
  // Eventfds by vring, own copies; those not there are empty.
  std::vector<api::Fd> kicks() const;
  std::vector<api::Fd> calls() const;

 private:
  struct Vring {
    uint32_t size = 0;
    std::optional<VringAddress> address;
    uint16_t base = 0;
    bool enabled = false;
    api::Fd kick;
    api::Fd call;
  };

  Result<std::optional<Message>> answer(const Message& message, uint64_t number) const;
  Result<std::optional<Message>> done(const Message& message) const;
  Status apply(const Message& message, std::vector<api::Fd>& files);
  Status set_features(uint64_t features);
  Status set_memory(const MemoryTable& table, std::vector<api::Fd>& files);
  Status set_vring(const Message& message);
  Status set_file(const Message& message, std::vector<api::Fd>& files);
  Result<std::optional<Message>> get_base(const Message& message);
  bool runs(const Vring& vring) const noexcept;
  Result<RingPlace> place(const Vring& vring) const;

  DeviceConfig config_;
  uint64_t features_ = 0;
  uint64_t protocol_features_ = 0;
  std::shared_ptr<Memory> memory_;
  std::vector<Vring> vrings_;
};

}  // namespace weir::dataplane::vhost
