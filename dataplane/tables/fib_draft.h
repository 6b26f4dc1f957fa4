// A node's 256 entries while the writer thinks about them. Main thread only.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "dataplane/tables/fib_node.h"
#include "dataplane/tables/local_prefixes.h"

namespace weir::dataplane {

using RunMap = std::array<uint64_t, 4>;

// f(slot, entry) for every child below a node.
template <class F>
void for_each_child(const FibNode& node, bool direct, F&& f) {
  const auto visit = [&](unsigned slot, unsigned place) {
    const uint32_t entry = node.entries()[place].load(std::memory_order_relaxed);  // own writes
    if (fib_entry::is_child(entry)) f(slot, entry);
  };
  if (direct) {
    for (unsigned slot = 0; slot < 256; ++slot) visit(slot, slot);
    return;
  }
  unsigned run = 0;
  for (unsigned word = 0; word < 4; ++word) {
    for (uint64_t bits = node.runs[word]; bits != 0; bits &= bits - 1) {
      visit(word * 64 + static_cast<unsigned>(std::countr_zero(bits)), run++);
    }
  }
}

class FibDraft {
 public:
  explicit FibDraft(std::span<const LocalPrefix> prefixes) {
    for (const LocalPrefix& prefix : prefixes) {
      std::fill_n(painted_.begin() + prefix.first, prefix.slots(), prefix.entry);
    }
    entries_ = painted_;
  }

  void add_child(unsigned slot, uint32_t child) {
    entries_[slot] = child;
    children_[child_count_++] = static_cast<uint8_t>(slot);
  }
  // Children of a published node, but for the one at `except` (-1: all).
  void add_children(const FibNode& node, bool direct, int except = -1) {
    for_each_child(node, direct, [&](unsigned slot, uint32_t child) {
      if (static_cast<int>(slot) != except) add_child(slot, child);
    });
  }

  // What a reader finds at the slot, and what the node's own prefixes say there.
  uint32_t entry(unsigned slot) const { return entries_[slot]; }
  uint32_t painted(unsigned slot) const { return painted_[slot]; }
  std::span<const uint8_t> children() const { return {children_.data(), child_count_}; }

  RunMap runs() const {
    RunMap map{};
    map[0] = 1;
    for (unsigned slot = 1; slot < 256; ++slot) {
      map[slot / 64] |= uint64_t{entries_[slot] != entries_[slot - 1]} << slot % 64;
    }
    return map;
  }

 private:
  std::array<uint32_t, 256> painted_{};
  std::array<uint32_t, 256> entries_;
  std::array<uint8_t, 256> children_;  // their slots
  unsigned child_count_ = 0;
};

}  // namespace weir::dataplane
