// The driver's end of virtqueues, split and packed, in memory that it shares with the device:
// everything a good driver does, and each descriptor and index to forge.
// No test framework in here: fuzzers use it too. One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/ports/vhost/chain.h"
#include "dataplane/ports/vhost/memory.h"

namespace weir::dataplane::vhost::test {

using Bytes = std::vector<std::byte>;

// Memory of a front-end, mapped once on its own account; guest addresses begin at 0.
class SharedMemory {
 public:
  static constexpr uint64_t kSize = 1 << 20;
  static constexpr uint64_t kUser = 0x7f00'0000'0000;  // where the front-end has it
  static constexpr uint64_t kBuffers = 0x40000;        // rings lie before them

  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  static MemoryRegion region() { return {.guest = 0, .size = kSize, .user = kUser, .offset = 0}; }
  // The device's mapping of it.
  std::shared_ptr<Memory> map() const;
  api::Fd file() const;  // a copy
  std::byte* at(uint64_t guest) const noexcept { return base_ + guest; }
  void clear() noexcept;

 private:
  api::Fd fd_;
  std::byte* base_ = nullptr;
};

// What a descriptor says of its buffer. Flags are the driver's own: WRITE, INDIRECT.
struct Buffer {
  uint64_t address = 0;
  uint32_t length = 0;
  uint16_t flags = 0;
};

struct Used {
  uint16_t id;
  uint32_t length;
};

class DriverRing {
 public:
  // Three areas from `guest` on, each with room for 512 descriptors.
  DriverRing(const SharedMemory& memory, uint64_t guest, uint16_t size)
      : memory_(memory), guest_(guest), size_(size) {}
  virtual ~DriverRing() = default;

  // Makes one chain available under an id below the ring's size. In a split ring it takes the
  // slots from `id` on, so ids stand apart by their chains' lengths.
  virtual void offer(std::span<const Buffer> chain, uint16_t id) = 0;
  // The next chain that the device gave back.
  virtual std::optional<Used> take_used() = 0;

  uint16_t size() const noexcept { return size_; }
  // For the device, that begins where a fresh driver does.
  virtual RingPlace place(const Memory& memory) const = 0;
  VringAddress address(uint32_t vring) const noexcept;

 protected:
  static constexpr uint64_t kDriver = 0x2000;
  static constexpr uint64_t kDevice = 0x3000;

  template <class T>
  T* at(uint64_t offset) const noexcept {
    return reinterpret_cast<T*>(memory_.at(guest_ + offset));
  }
  RingPlace place_at(const Memory& memory, uint16_t base) const noexcept;

  const SharedMemory& memory_;
  const uint64_t guest_;
  const uint16_t size_;
};

class SplitDriver final : public DriverRing {
 public:
  using DriverRing::DriverRing;
  void offer(std::span<const Buffer> chain, uint16_t id) override;
  std::optional<Used> take_used() override;
  RingPlace place(const Memory& memory) const override { return place_at(memory, 0); }

  SplitDescriptor& descriptor(uint16_t slot) { return at<SplitDescriptor>(0)[slot]; }
  uint16_t& available_index() { return at<RingHead>(kDriver)->index; }
  void make_available(uint16_t head);

 private:
  uint16_t seen_ = 0;  // of the used ring
};

class PackedDriver final : public DriverRing {
 public:
  using DriverRing::DriverRing;
  void offer(std::span<const Buffer> chain, uint16_t id) override;
  std::optional<Used> take_used() override;
  RingPlace place(const Memory& memory) const override { return place_at(memory, 1U << 15); }

  PackedDescriptor& descriptor(uint16_t slot) { return at<PackedDescriptor>(0)[slot]; }

 private:
  uint16_t flags_here() const noexcept;

  std::vector<uint16_t> slots_of_ = std::vector<uint16_t>(size_);  // by id
  uint16_t next_ = 0;
  bool wrap_ = true;
  uint16_t used_next_ = 0;
  bool used_wrap_ = true;
};

std::unique_ptr<DriverRing> make_ring(bool packed, const SharedMemory& memory, uint64_t guest,
                                      uint16_t size);

}  // namespace weir::dataplane::vhost::test
