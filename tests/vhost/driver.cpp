#include "tests/vhost/driver.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace weir::dataplane::vhost::test {

SharedMemory::SharedMemory() : fd_(memfd_create("driver", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
  if (!fd_ || ftruncate(fd_.get(), kSize) != 0) std::abort();
  void* base = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (base == MAP_FAILED) std::abort();
  base_ = static_cast<std::byte*>(base);
}

SharedMemory::~SharedMemory() { munmap(base_, kSize); }

std::shared_ptr<Memory> SharedMemory::map() const {
  std::vector<api::Fd> files;
  files.push_back(file());
  const MemoryRegion one = region();
  return *Memory::map(std::span(&one, 1), files, false);
}

api::Fd SharedMemory::file() const { return api::Fd(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)); }

void SharedMemory::clear() noexcept { std::memset(base_, 0, kSize); }

VringAddress DriverRing::address(uint32_t vring) const noexcept {
  const uint64_t user = SharedMemory::kUser + guest_;
  return {.index = vring,
          .flags = 0,
          .descriptors = user,
          .device = user + kDevice,
          .driver = user + kDriver,
          .log = 0};
}

RingPlace DriverRing::place_at(const Memory& memory, uint16_t base) const noexcept {
  std::byte* const start = memory.from(guest_).data();
  return {.descriptors = reinterpret_cast<DescriptorSlot*>(start),
          .driver = start + kDriver,
          .device = start + kDevice,
          .size = size_,
          .base = base};
}

void SplitDriver::offer(std::span<const Buffer> chain, uint16_t id) {
  for (size_t i = 0; i < chain.size(); ++i) {
    const uint16_t more = i + 1 == chain.size() ? uint16_t{0} : kDescriptorNext;
    const auto slot = static_cast<uint16_t>((id + i) % size_);
    descriptor(slot) = {chain[i].address, chain[i].length,
                        static_cast<uint16_t>(chain[i].flags | more),
                        static_cast<uint16_t>((slot + 1) % size_)};
  }
  make_available(id);
}

void SplitDriver::make_available(uint16_t head) {
  const uint16_t index = available_index();
  at<uint16_t>(kDriver + sizeof(RingHead))[index % size_] = head;
  std::atomic_ref(available_index())
      .store(static_cast<uint16_t>(index + 1), std::memory_order_release);
}

std::optional<Used> SplitDriver::take_used() {
  const uint16_t index =
      std::atomic_ref(at<RingHead>(kDevice)->index).load(std::memory_order_acquire);
  if (index == seen_) return std::nullopt;
  const UsedElement& one = at<UsedElement>(kDevice + sizeof(RingHead))[seen_++ % size_];
  return Used{static_cast<uint16_t>(one.id), one.length};
}

uint16_t PackedDriver::flags_here() const noexcept {
  return wrap_ ? kDescriptorAvailable : kDescriptorUsed;
}

void PackedDriver::offer(std::span<const Buffer> chain, uint16_t id) {
  slots_of_[id] = static_cast<uint16_t>(chain.size());
  const uint16_t head = next_;
  uint16_t head_flags = 0;
  for (size_t i = 0; i < chain.size(); ++i) {
    const uint16_t more = i + 1 == chain.size() ? uint16_t{0} : kDescriptorNext;
    const auto flags = static_cast<uint16_t>(chain[i].flags | more | flags_here());
    PackedDescriptor& one = descriptor(next_);
    one.address = chain[i].address;
    one.length = chain[i].length;
    one.id = id;
    (i == 0 ? head_flags : one.flags) = flags;
    if (++next_ == size_) {
      next_ = 0;
      wrap_ = !wrap_;
    }
  }
  std::atomic_ref(descriptor(head).flags).store(head_flags, std::memory_order_release);
}

std::optional<Used> PackedDriver::take_used() {
  const PackedDescriptor& one = descriptor(used_next_);
  const bool available = (one.flags & kDescriptorAvailable) != 0;
  const bool used = (one.flags & kDescriptorUsed) != 0;
  if (available != used || used != used_wrap_) return std::nullopt;
  const Used taken{one.id, one.length};
  used_next_ = static_cast<uint16_t>(used_next_ + slots_of_[one.id % size_]);
  if (used_next_ >= size_) {
    used_next_ = static_cast<uint16_t>(used_next_ - size_);
    used_wrap_ = !used_wrap_;
  }
  return taken;
}

std::unique_ptr<DriverRing> make_ring(bool packed, const SharedMemory& memory, uint64_t guest,
                                      uint16_t size) {
  if (packed) return std::make_unique<PackedDriver>(memory, guest, size);
  return std::make_unique<SplitDriver>(memory, guest, size);
}

}  // namespace weir::dataplane::vhost::test
