// Memory of inner nodes, and what the writer alone knows of each.
//
// Thread safety: main thread only, but for the nodes' own rules (fib_node.h).
// Invariants: a retired node keeps its bytes until a grace period has passed.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/core/rcu.h"
#include "dataplane/tables/fib_node.h"
#include "dataplane/tables/local_prefixes.h"
#include "dataplane/tables/table_memory.h"

namespace weir::dataplane {

class FibArena {
 public:
  // Nodes come in these sizes, in cells. The last one holds all 256 entries.
  static constexpr std::array<uint8_t, 5> kSizes{1, 2, 3, 5, 17};
  static constexpr unsigned entries_of(unsigned cells) { return cells * 16 - 12; }

  struct Shadow {
    LocalPrefixes prefixes;  // that end in this node
    uint8_t cells = 0;
  };

  // `cells`: capacity, less when the system refuses so much address space. `reserve`:
  // cells that only allocate(…, true) may take.
  static FibArena* create(uint32_t cells, uint32_t reserve, int numa_node);
  // Instead of delete: nodes that still wait for a grace period keep the arena alive.
  void close();

  // The node's index, 0 when full; its bytes are undefined, its shadow is empty.
  uint32_t allocate(unsigned cells, bool from_reserve);
  void free(uint32_t index);              // that no reader ever saw
  void retire(Rcu& rcu, uint32_t index);  // unlinked; freed after a grace period

  FibNode& node(uint32_t index) noexcept { return nodes_[index]; }
  Shadow& shadow(uint32_t index) noexcept { return shadows_[index]; }
  const FibNode* nodes() const noexcept { return nodes_; }
  uint32_t nodes_in_use() const noexcept { return in_use_; }  // retired ones included
  size_t memory_bytes() const noexcept {
    return memory_.touched_bytes() + shadow_memory_.touched_bytes();
  }

 private:
  FibArena(uint32_t cells, uint32_t reserve, int numa_node);
  ~FibArena();
  uint32_t take_fresh(unsigned cells, uint32_t limit);
  void push(unsigned size, uint32_t index) noexcept;

  uint32_t capacity_;
  uint32_t reserve_;
  TableMemory memory_;
  TableMemory shadow_memory_;
  FibNode* nodes_;
  Shadow* shadows_;
  uint32_t fresh_ = 1;  // never used from here on; 0 is no node
  uint32_t in_use_ = 0;
  uint32_t waiting_ = 0;  // for a grace period
  bool closed_ = false;
  std::array<uint32_t, kSizes.size()> free_{};  // heads of lists through the nodes, 0 = empty
};

// Nodes that no reader can reach yet; freed unless published.
class FibUnpublished {
 public:
  explicit FibUnpublished(FibArena& arena) : arena_(arena) {}
  FibUnpublished(const FibUnpublished&) = delete;
  FibUnpublished& operator=(const FibUnpublished&) = delete;
  ~FibUnpublished() {
    while (count_ > 0) arena_.free(fib_entry::index(entries_[--count_]));
  }
  uint32_t add(uint32_t entry) {
    if (entry != 0) entries_[count_++] = entry;
    return entry;
  }
  void published() { count_ = 0; }

 private:
  FibArena& arena_;
  std::array<uint32_t, 4> entries_;
  unsigned count_ = 0;
};

}  // namespace weir::dataplane
