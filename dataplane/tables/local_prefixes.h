// The prefixes that end in one node, shortest first: painted in this order, the last
// one that covers a slot is its owner. Most nodes have one, which is kept in place.
//
// Lives in zeroed memory: all zero is an empty list. Main thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

namespace weir::dataplane {

struct LocalPrefix {
  uint32_t entry = 0;  // adjacency index
  uint8_t first = 0;   // slot
  uint8_t length = 0;  // 1..8, bits within the node

  unsigned slots() const noexcept { return 256U >> length; }
  bool same_place(const LocalPrefix& other) const noexcept {
    return first == other.first && length == other.length;
  }
  bool before(const LocalPrefix& other) const noexcept {
    return length != other.length ? length < other.length : first < other.first;
  }
};

class LocalPrefixes {
 public:
  LocalPrefixes() = default;
  LocalPrefixes(const LocalPrefixes&) = delete;
  LocalPrefixes(LocalPrefixes&& other) noexcept { swap(other); }
  LocalPrefixes& operator=(LocalPrefixes&& other) noexcept {
    swap(other);
    return *this;
  }
  ~LocalPrefixes() { clear(); }

  std::span<LocalPrefix> all() noexcept { return {capacity_ == 0 ? &one_ : many_, count_}; }
  std::span<const LocalPrefix> all() const noexcept {
    return const_cast<LocalPrefixes*>(this)->all();
  }
  bool empty() const noexcept { return count_ == 0; }

  LocalPrefix* find(const LocalPrefix& place) noexcept {
    LocalPrefix* found = lower_bound(place);
    return found != end() && found->same_place(place) ? found : nullptr;
  }

  // Adds one whose place is free. false: out of memory, nothing changed.
  bool insert(const LocalPrefix& prefix) noexcept {
    if (count_ == std::max<unsigned>(capacity_, 1) && !grow()) return false;
    LocalPrefix* place = lower_bound(prefix);
    std::copy_backward(place, end(), end() + 1);
    *place = prefix;
    ++count_;
    return true;
  }
  // Removes what find() returned. The memory stays for an insert that undoes this.
  void remove(LocalPrefix* found) noexcept {
    std::copy(found + 1, end(), found);
    --count_;
  }
  void clear() noexcept {
    if (capacity_ > 0) std::free(many_);
    one_ = {};
    count_ = capacity_ = 0;
  }

 private:
  LocalPrefix* end() noexcept { return all().data() + count_; }
  LocalPrefix* lower_bound(const LocalPrefix& place) noexcept {
    return std::lower_bound(all().data(), end(), place,
                            [](const LocalPrefix& a, const LocalPrefix& b) { return a.before(b); });
  }
  bool grow() noexcept {
    const unsigned capacity = capacity_ == 0 ? 4 : capacity_ * 2U;
    auto* memory = static_cast<LocalPrefix*>(std::malloc(capacity * sizeof(LocalPrefix)));
    if (memory == nullptr) return false;
    std::copy(all().begin(), all().end(), memory);
    if (capacity_ > 0) std::free(many_);
    many_ = memory;
    capacity_ = static_cast<uint16_t>(capacity);
    return true;
  }
  void swap(LocalPrefixes& other) noexcept {
    std::swap(raw_, other.raw_);
    std::swap(count_, other.count_);
    std::swap(capacity_, other.capacity_);
  }

  static_assert(sizeof(LocalPrefix) == sizeof(uint64_t) && sizeof(void*) == sizeof(uint64_t));
  union {
    LocalPrefix one_{};
    LocalPrefix* many_;
    uint64_t raw_;  // either of them, to swap
  };
  uint16_t count_ = 0;
  uint16_t capacity_ = 0;  // of many_; 0: one_ holds the only one
};

}  // namespace weir::dataplane
