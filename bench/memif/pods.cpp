#include "bench/memif/pods.h"

#include <x86intrin.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "bench/memif/device.h"
#include "dataplane/core/checksum.h"
#include "dataplane/core/headers.h"

namespace weir::bench {

using namespace dataplane;

namespace {

constexpr uint32_t kBehind = 0x14000000;  // 20.0.0.0/8: routed to the receiving pod

memif::test::ClientOptions client(const std::function<void()>& pump, uint8_t log2_ring, uint32_t buffer) {
  memif::test::ClientOptions options;
  options.log2_ring = log2_ring;
  options.buffer = buffer;
  options.pump = pump;
  return options;
}

void must(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "forward_cost: a pod cannot connect: %s\n", status.error().text.c_str());
  std::exit(1);
}

}  // namespace

std::string make_directory() {
  std::string name = (std::filesystem::temp_directory_path() / "weir-bench-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::exit(1);
  return name;
}

std::string socket_of(const std::string& directory, unsigned pod) {
  return directory + "/" + std::to_string(pod) + ".sock";
}

uint32_t pod_ip4(unsigned pod) { return 0x0a010002 + pod; }
std::array<uint8_t, 6> pod_mac(unsigned pod) {
  return {2, 0, 0, 0, static_cast<uint8_t>(pod >> 8), static_cast<uint8_t>(pod)};
}

Pods::Pods(const std::string& directory, const std::function<void()>& pump, const Load& load, uint8_t log2_ring)
    : load_(load),
      sender_(client(pump, log2_ring, load.frame > 2048 ? 9216 : 2048)),
      receiver_(client(pump, log2_ring, load.frame > 2048 ? 9216 : 2048)) {
  must(sender_.connect(socket_of(directory, 0)));
  must(receiver_.connect(socket_of(directory, 1)));
  std::mt19937 random(1);
  targets_.resize(load.destinations);
  for (uint32_t& target : targets_) {
    target = load.destinations == 1 ? pod_ip4(1) : kBehind | (random() & 0x00ffffff);
  }
  prepare();
}

// Every buffer of the sender holds a good frame; touch() changes what differs.
void Pods::prepare() {
  for (uint16_t slot = 0; slot < sender_.ring_size(); ++slot) {
    memif::Descriptor descriptor = sender_.descriptor(true, slot);
    descriptor.length = load_.frame;
    descriptor.flags = 0;
    sender_.set_descriptor(true, slot, descriptor);
    std::byte* frame = sender_.memory() + descriptor.offset;
    std::memset(frame, 0, load_.frame);
    auto* ethernet = reinterpret_cast<EthernetHeader*>(frame);
    ethernet->destination = kGatewayMac;
    ethernet->source.bytes = pod_mac(0);
    ethernet->ethertype.set(kEtherIp4);
    auto* ip = reinterpret_cast<Ip4Header*>(ethernet + 1);
    ip->version_ihl = 0x45;
    ip->total_length.set(static_cast<uint16_t>(load_.frame - sizeof *ethernet));
    ip->ttl = 64;
    ip->protocol = kProtoUdp;
    ip->source.set(pod_ip4(0));
    auto* udp = reinterpret_cast<UdpHeader*>(ip + 1);
    udp->source.set(1000);
    udp->destination.set(2000);
    udp->length.set(static_cast<uint16_t>(load_.frame - sizeof *ethernet - sizeof *ip));
  }
}

// Another destination and source port each time, and the checksum that belongs to them.
void Pods::touch(std::byte* frame) {
  auto* ip = reinterpret_cast<Ip4Header*>(frame + sizeof(EthernetHeader));
  auto* udp = reinterpret_cast<UdpHeader*>(ip + 1);
  ip->destination.set(targets_[number_ % targets_.size()]);
  udp->source.set(static_cast<uint16_t>(number_));
  ip->checksum = {};
  ip->checksum.set_wire(header_checksum(*ip));
  ++number_;
}

void Pods::flush_lines(const void* at, size_t bytes) const {
  if (!load_.cold) return;
  const auto* line = static_cast<const std::byte*>(at);
  for (size_t i = 0; i < bytes; i += 64) _mm_clflush(line + i);
}

void Pods::send() {
  const auto room = static_cast<uint16_t>(sender_.ring_size() - static_cast<uint16_t>(sent_ - sender_.tail(true)));
  for (uint16_t i = 0; i < std::min(load_.batch, room); ++i, ++sent_) {
    memif::Descriptor descriptor = sender_.descriptor(true, sent_);
    descriptor.length = load_.frame;
    sender_.set_descriptor(true, sent_, descriptor);
    std::byte* frame = sender_.memory() + descriptor.offset;
    touch(frame);
    flush_lines(frame, load_.frame);
    // This frame's buffer at the other pod is where the device will write.
    const memif::Descriptor target = receiver_.descriptor(false, static_cast<uint16_t>(taken_ + i));
    flush_lines(receiver_.memory() + target.offset, load_.frame);
  }
  sender_.set_head(true, sent_);
  if (!load_.cold) return;
  const std::byte* slots = reinterpret_cast<std::byte*>(&sender_.ring(true)) + sizeof(memif::RingHeader);
  flush_lines(slots, sender_.ring_size() * sizeof(memif::DescriptorSlot));
  slots = reinterpret_cast<std::byte*>(&receiver_.ring(false)) + sizeof(memif::RingHeader);
  flush_lines(slots, receiver_.ring_size() * sizeof(memif::DescriptorSlot));
  _mm_mfence();
}

unsigned Pods::receive() {
  const uint16_t until = receiver_.tail(false);
  const auto count = static_cast<uint16_t>(until - taken_);
  for (; taken_ != until; ++taken_) {
    memif::Descriptor descriptor = receiver_.descriptor(false, taken_);
    const auto* ethernet = reinterpret_cast<const EthernetHeader*>(receiver_.memory() + descriptor.offset);
    if (descriptor.length != load_.frame || ethernet->ethertype.host() != kEtherIp4) std::abort();
    descriptor.length = receiver_.options().buffer;
    receiver_.set_descriptor(false, taken_, descriptor);
  }
  receiver_.set_head(false, static_cast<uint16_t>(taken_ + receiver_.ring_size()));
  return count;
}

}  // namespace weir::bench
