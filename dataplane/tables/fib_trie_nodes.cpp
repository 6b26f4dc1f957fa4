// The writer's nodes: made, copied and changed in place.
#include <algorithm>

#include "dataplane/tables/fib_key.h"
#include "dataplane/tables/fib_trie.h"

namespace weir::dataplane {

namespace {

using fib_entry::index;
using fib_entry::is_direct;
using fib_entry::kMaxSkip;
using fib_entry::skip;

// A node with more runs than the first is indexed by slot: one line less to wait for.
// It goes back to runs below the second, which is lower so that it does not alternate.
constexpr unsigned kMostRuns = FibArena::entries_of(5);
constexpr unsigned kFewRuns = FibArena::entries_of(3);

unsigned count_of(const RunMap& runs) {
  unsigned count = 0;
  for (const uint64_t word : runs) count += static_cast<unsigned>(std::popcount(word));
  return count;
}

}  // namespace

// A new node for the draft, 0 when memory is out. Shadow and children are left alone.
uint32_t FibTrie::build(const Draft& draft, unsigned skip_count, uint64_t skip_bytes,
                        uint32_t fallback, bool erasing) {
  const RunMap runs = draft.runs();
  const unsigned count = count_of(runs);
  const bool direct = count > kMostRuns;
  const auto size = std::ranges::find_if(FibArena::kSizes, [&](unsigned cells) {
    return FibArena::entries_of(cells) >= (direct ? 256 : count);
  });
  const uint32_t place = arena_->allocate(*size, erasing);
  if (place == 0) return 0;

  // relaxed throughout: the caller publishes the node with a release store
  FibNode& node = arena_->node(place);
  node.fallback.store(fallback, std::memory_order_relaxed);
  node.skip = skip_bytes;
  unsigned run = 0;
  for (unsigned word = 0; word < 4; ++word) {
    node.runs[word] = runs[word];
    node.rank[word] = static_cast<uint8_t>(run);
    for (uint64_t bits = direct ? 0 : runs[word]; bits != 0; bits &= bits - 1) {
      const unsigned slot = word * 64 + static_cast<unsigned>(std::countr_zero(bits));
      node.entries()[run++].store(draft.entry(slot), std::memory_order_relaxed);
    }
  }
  for (unsigned slot = 0; direct && slot < 256; ++slot) {
    node.entries()[slot].store(draft.entry(slot), std::memory_order_relaxed);
  }
  return fib_entry::make(place, skip_count, direct);
}

// The same entries under another skip and fallback.
uint32_t FibTrie::clone(uint32_t entry, unsigned skip_count, uint64_t skip_bytes, uint32_t fallback,
                        bool erasing) {
  const unsigned cells = arena_->shadow(index(entry)).cells;
  const uint32_t place = arena_->allocate(cells, erasing);
  if (place == 0) return 0;
  const FibNode& from = node_of(entry);
  FibNode& to = arena_->node(place);
  std::ranges::copy(from.runs, to.runs);
  std::ranges::copy(from.rank, to.rank);
  to.skip = skip_bytes;
  to.fallback.store(fallback, std::memory_order_relaxed);  // published by the caller
  for (unsigned i = 0; i < FibArena::entries_of(cells); ++i) {
    to.entries()[i].store(from.entries()[i].load(std::memory_order_relaxed),
                          std::memory_order_relaxed);
  }
  return fib_entry::make(place, skip_count, is_direct(entry));
}

// A node with the prefix alone, reached from byte `from`, with a bridge when that is far.
uint32_t FibTrie::make_leaf(const Insertion& insertion, unsigned from, uint32_t fallback,
                            FibUnpublished& fresh) {
  const unsigned distance = insertion.byte - from;
  if (distance > kMaxSkip) {
    const unsigned bridge = from + kMaxSkip;
    const uint32_t leaf = make_leaf(insertion, bridge + 1, 0, fresh);
    if (leaf == 0) return 0;
    Draft draft({});
    draft.add_child(insertion.key[bridge], leaf);
    return fresh.add(build(draft, kMaxSkip, bytes_at(insertion.key, from), fallback, false));
  }
  const Draft draft({&insertion.prefix, 1});
  const uint32_t leaf =
      fresh.add(build(draft, distance, bytes_at(insertion.key, from), fallback, false));
  if (leaf != 0)
    static_cast<void>(prefixes_of(leaf).insert(insertion.prefix));  // the first is in place
  return leaf;
}

void FibTrie::store_in_place(uint32_t entry, const Draft& draft) {
  FibNode& node = node_of(entry);
  const auto store = [&](unsigned place, unsigned slot) {
    FibWord& word = node.entries()[place];
    const uint32_t wanted = draft.entry(slot);
    // release: what the entry names was written before
    if (word.load(std::memory_order_relaxed) != wanted)
      word.store(wanted, std::memory_order_release);
  };
  if (is_direct(entry)) {
    for (unsigned slot = 0; slot < 256; ++slot) store(slot, slot);
    return;
  }
  unsigned run = 0;
  for (unsigned word = 0; word < 4; ++word) {
    for (uint64_t bits = node.runs[word]; bits != 0; bits &= bits - 1) {
      store(run++, word * 64 + static_cast<unsigned>(std::countr_zero(bits)));
    }
  }
}

// Makes the node at `where` look like the draft: in place when its runs allow it, else by
// a new node. false: memory is out and nothing changed.
bool FibTrie::commit(FibWord& where, const Draft& draft, bool erasing) {
  const uint32_t old = where.load(std::memory_order_relaxed);  // own writes
  FibNode& node = node_of(old);
  const RunMap runs = draft.runs();
  bool in_place = is_direct(old) ? count_of(runs) >= kFewRuns : std::ranges::equal(runs, node.runs);
  uint32_t fresh = 0;
  if (!in_place) {
    fresh =
        build(draft, skip(old), node.skip, node.fallback.load(std::memory_order_relaxed), erasing);
    // Runs that are split without need are still right.
    in_place = fresh == 0 && (is_direct(old) ||
                              std::ranges::equal(runs, node.runs, [](uint64_t want, uint64_t has) {
                                return (want & ~has) == 0;
                              }));
    if (fresh == 0 && !in_place) return false;
  }
  for (const unsigned slot : draft.children()) {
    FibWord& fallback = node_of(draft.entry(slot)).fallback;
    const uint32_t wanted = draft.painted(slot);
    if (fallback.load(std::memory_order_relaxed) != wanted)
      fallback.store(wanted, std::memory_order_release);
  }
  if (in_place) {
    store_in_place(old, draft);
    return true;
  }
  prefixes_of(fresh) = std::move(prefixes_of(old));
  where.store(fresh, std::memory_order_release);  // publishes the node
  retire(old);
  return true;
}

}  // namespace weir::dataplane
