// The writer's side of a forwarding table of any address length up to 128 bits.
//
// Thread safety: main thread only; readers() is what workers use (fib.h).
// Invariants, which hold between any two stores of the writer:
// - each address finds the old or the new answer of the change in progress;
// - a node's fallback equals what its parent's own prefixes say at its slot.
// After each change: a node has a prefix of its own or two children, unless it bridges a
// distance of more than kMaxSkip bytes, or memory ran out in the middle of an erasure.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "dataplane/api/error.h"
#include "dataplane/core/rcu.h"
#include "dataplane/tables/fib_arena.h"
#include "dataplane/tables/fib_draft.h"
#include "dataplane/tables/fib_key.h"
#include "dataplane/tables/fib_node.h"
#include "dataplane/tables/fib_root.h"

namespace weir::dataplane {

struct FibOptions {
  int numa_node = -1;                 // where the table's memory should be; -1: anywhere
  uint32_t max_cells = 1U << 27;      // of 64 bytes for inner nodes; address space, not memory
  uint32_t reserve_cells = 1U << 16;  // of these kept for erasures
};

class FibTrie {
 public:
  using Key = FibKey;

  FibTrie(Rcu& rcu, const FibOptions& options);
  ~FibTrie();
  FibTrie(const FibTrie&) = delete;
  FibTrie& operator=(const FibTrie&) = delete;

  struct Readers {
    const FibWord* root;
    const FibNode* nodes;
    const FibLive* live;
  };
  Readers readers() const noexcept { return {root_.entries(), arena_->nodes(), &live_}; }

  // Length 0..128; entry 1..2^31-1. no_memory: nothing changed.
  Status set(const Key& key, unsigned length, uint32_t entry);
  // true: it was there and is gone.
  bool erase(const Key& key, unsigned length);
  std::optional<uint32_t> find(const Key& key, unsigned length) const;
  using Visit = std::function<void(const Key&, unsigned length, uint32_t entry)>;
  void for_each(const Visit& visit) const;

  size_t size() const noexcept { return size_; }
  uint32_t nodes_in_use() const noexcept { return arena_->nodes_in_use(); }
  size_t memory_bytes() const noexcept { return root_.memory_bytes() + arena_->memory_bytes(); }

 private:
  using Draft = FibDraft;
  // Where a node's entry is stored, and which byte of the address the node decides.
  struct Place {
    FibWord* where = nullptr;
    unsigned byte = 0;
  };
  // From the root to the node that `key` and `length` belong to; size 0 = not there.
  struct Path {
    std::array<Place, 14> places;
    size_t size = 0;
  };
  // What is being inserted: it belongs to a node that decides `byte`.
  struct Insertion {
    Key key;
    unsigned byte;
    LocalPrefix prefix;
  };

  FibNode& node_of(uint32_t entry) const noexcept { return arena_->node(fib_entry::index(entry)); }
  LocalPrefixes& prefixes_of(uint32_t entry) const noexcept {
    return arena_->shadow(fib_entry::index(entry)).prefixes;
  }
  void retire(uint32_t entry) { arena_->retire(rcu_, fib_entry::index(entry)); }
  void change_default(uint32_t entry);

  uint32_t build(const Draft& draft, unsigned skip, uint64_t skip_bytes, uint32_t fallback,
                 bool erasing);
  uint32_t clone(uint32_t entry, unsigned skip, uint64_t skip_bytes, uint32_t fallback,
                 bool erasing);
  uint32_t make_leaf(const Insertion& insertion, unsigned from, uint32_t fallback,
                     FibUnpublished& fresh);
  bool commit(FibWord& where, const Draft& draft, bool erasing);
  void store_in_place(uint32_t entry, const Draft& draft);

  bool insert(const Insertion& insertion);
  bool insert_here(FibWord& where, const Insertion& insertion);
  bool attach(FibWord& where, unsigned byte, const Insertion& insertion);
  bool split(FibWord& where, unsigned from, unsigned keep, const Insertion& insertion);
  bool hang_on_root(const Insertion& insertion);

  Path path_to(const Insertion& place) const;
  bool erase_inner(const Insertion& place);
  void tidy(Path& path, const Key& key);
  void merge(FibWord& where, unsigned slot, uint32_t child);
  void visit_node(uint32_t entry, Key& key, unsigned from, const Visit& visit) const;

  Rcu& rcu_;
  FibRoot root_;
  struct Close {
    void operator()(FibArena* arena) const { arena->close(); }
  };
  std::unique_ptr<FibArena, Close> arena_;
  FibLive live_;
  size_t size_ = 0;
};

}  // namespace weir::dataplane
