#include "dataplane/tables/fib_trie.h"

#include <algorithm>

#include "dataplane/tables/fib_key.h"

namespace weir::dataplane {

namespace {

using fib_entry::index;
using fib_entry::is_child;
using fib_entry::is_direct;
using fib_entry::kMaxSkip;
using fib_entry::skip;

constexpr unsigned kRootBytes = 3;

}  // namespace

FibTrie::FibTrie(Rcu& rcu, const FibOptions& options)
    : rcu_(rcu),
      root_(options.numa_node),
      arena_(FibArena::create(options.max_cells, options.reserve_cells, options.numa_node)) {}

FibTrie::~FibTrie() = default;

// --- insertion

bool FibTrie::insert(const Insertion& insertion) {
  const uint32_t root_slot = slot_of(insertion.key);
  FibWord* where = &root_.slot(root_slot);
  unsigned from = kRootBytes;
  if (!is_child(where->load(std::memory_order_relaxed))) return hang_on_root(insertion);
  for (;;) {
    const uint32_t entry = where->load(std::memory_order_relaxed);  // own writes
    const FibNode& node = node_of(entry);
    const unsigned byte = from + skip(entry);
    const unsigned equal = equal_bytes(node.skip, bytes_at(insertion.key, from), skip(entry));
    if (equal < skip(entry) || insertion.byte < byte) {
      return split(*where, from, std::min(equal, insertion.byte - from), insertion);
    }
    if (insertion.byte == byte) return insert_here(*where, insertion);
    const FibWord& next = node.entry(insertion.key[byte], is_direct(entry));
    if (!is_child(next.load(std::memory_order_relaxed))) return attach(*where, byte, insertion);
    where = const_cast<FibWord*>(&next);
    from = byte + 1;
  }
}

bool FibTrie::hang_on_root(const Insertion& insertion) {
  const uint32_t slot = slot_of(insertion.key);
  FibUnpublished fresh(*arena_);
  root_.touch(slot, 1);
  FibWord& where = root_.slot(slot);
  const uint32_t leaf =
      make_leaf(insertion, kRootBytes, where.load(std::memory_order_relaxed), fresh);
  if (leaf == 0) return false;
  fresh.published();
  where.store(leaf, std::memory_order_release);  // publishes the node
  root_.child_added(slot);
  ++size_;
  return true;
}

bool FibTrie::insert_here(FibWord& where, const Insertion& insertion) {
  const uint32_t entry = where.load(std::memory_order_relaxed);  // own writes
  LocalPrefixes& prefixes = prefixes_of(entry);
  LocalPrefix* known = prefixes.find(insertion.prefix);
  const uint32_t before = known != nullptr ? known->entry : 0;
  if (known != nullptr) {
    known->entry = insertion.prefix.entry;
  } else if (!prefixes.insert(insertion.prefix)) {
    return false;
  }
  Draft draft(prefixes.all());
  draft.add_children(node_of(entry), is_direct(entry));
  if (commit(where, draft, false)) {
    if (before == 0) ++size_;
    return true;
  }
  known = prefixes.find(insertion.prefix);
  if (before != 0) {
    known->entry = before;
  } else {
    prefixes.remove(known);
  }
  return false;
}

// A new child where the node has none.
bool FibTrie::attach(FibWord& where, unsigned byte, const Insertion& insertion) {
  const uint32_t entry = where.load(std::memory_order_relaxed);  // own writes
  Draft draft(prefixes_of(entry).all());
  draft.add_children(node_of(entry), is_direct(entry));
  const unsigned slot = insertion.key[byte];
  FibUnpublished fresh(*arena_);
  const uint32_t leaf = make_leaf(insertion, byte + 1, draft.painted(slot), fresh);
  if (leaf == 0) return false;
  draft.add_child(slot, leaf);
  if (!commit(where, draft, false)) return false;
  fresh.published();
  ++size_;
  return true;
}

// A new node above the one at `where`, after `keep` of its skipped bytes.
bool FibTrie::split(FibWord& where, unsigned from, unsigned keep, const Insertion& insertion) {
  const uint32_t old = where.load(std::memory_order_relaxed);  // own writes
  const FibNode& node = node_of(old);
  const unsigned byte = from + keep;
  const bool ends_here = insertion.byte == byte;
  FibUnpublished fresh(*arena_);
  Draft draft({&insertion.prefix, ends_here ? 1U : 0U});

  const unsigned slot = byte_of(node.skip, keep);
  const uint32_t lower = fresh.add(
      clone(old, skip(old) - keep - 1, node.skip << 8 * (keep + 1), draft.painted(slot), false));
  if (lower == 0) return false;
  draft.add_child(slot, lower);
  if (!ends_here) {
    const uint32_t leaf = make_leaf(insertion, byte + 1, 0, fresh);
    if (leaf == 0) return false;
    draft.add_child(insertion.key[byte], leaf);
  }
  const uint32_t upper = fresh.add(build(draft, keep, keep_bytes(node.skip, keep),
                                         node.fallback.load(std::memory_order_relaxed), false));
  if (upper == 0) return false;

  fresh.published();
  if (ends_here)
    static_cast<void>(prefixes_of(upper).insert(insertion.prefix));  // the first is in place
  prefixes_of(lower) = std::move(prefixes_of(old));
  where.store(upper, std::memory_order_release);  // publishes all three
  retire(old);
  ++size_;
  return true;
}

// --- erasure

FibTrie::Path FibTrie::path_to(const Insertion& place) const {
  Path path;
  FibWord* where = const_cast<FibWord*>(root_.entries()) + slot_of(place.key);
  unsigned from = kRootBytes;
  for (;;) {
    const uint32_t entry = where->load(std::memory_order_relaxed);  // own writes
    if (!is_child(entry)) return {};
    const FibNode& node = node_of(entry);
    const unsigned byte = from + skip(entry);
    if (byte > place.byte) return {};
    if (equal_bytes(node.skip, bytes_at(place.key, from), skip(entry)) < skip(entry)) return {};
    path.places[path.size++] = {where, byte};
    if (byte == place.byte) return path;
    where = const_cast<FibWord*>(&node.entry(place.key[byte], is_direct(entry)));
    from = byte + 1;
  }
}

bool FibTrie::erase_inner(const Insertion& place) {
  Path path = path_to(place);
  if (path.size == 0) return false;
  FibWord& where = *path.places[path.size - 1].where;
  const uint32_t entry = where.load(std::memory_order_relaxed);  // own writes
  LocalPrefixes& prefixes = prefixes_of(entry);
  LocalPrefix* found = prefixes.find(place.prefix);
  if (found == nullptr) return false;
  const LocalPrefix removed = *found;
  prefixes.remove(found);
  Draft draft(prefixes.all());
  draft.add_children(node_of(entry), is_direct(entry));
  // A node that is left with nothing goes whole, which tidy() does.
  const bool empty = prefixes.empty() && draft.children().empty();
  if (!empty && !commit(where, draft, true)) {
    static_cast<void>(prefixes.insert(removed));  // its memory is still there
    return false;
  }
  --size_;
  tidy(path, place.key);
  return true;
}

// Removes nodes that decide nothing, from the end of the path upwards. Where memory is
// out they stay: they only cost a step.
void FibTrie::tidy(Path& path, const Key& key) {
  while (path.size > 0) {
    FibWord& where = *path.places[path.size - 1].where;
    const uint32_t entry = where.load(std::memory_order_relaxed);  // own writes
    if (!prefixes_of(entry).empty()) return;
    Draft children({});
    children.add_children(node_of(entry), is_direct(entry));
    if (children.children().size() > 1) return;
    if (children.children().size() == 1) {
      const unsigned slot = children.children()[0];
      return merge(where, slot, children.entry(slot));
    }
    --path.size;
    if (path.size == 0) {
      // What the root says here; release as for any entry.
      where.store(node_of(entry).fallback.load(std::memory_order_relaxed),
                  std::memory_order_release);
      root_.child_removed(slot_of(key));
    } else {
      const Place& parent = path.places[path.size - 1];
      const uint32_t above = parent.where->load(std::memory_order_relaxed);  // own writes
      Draft draft(prefixes_of(above).all());
      draft.add_children(node_of(above), is_direct(above), key[parent.byte]);
      static_cast<void>(commit(*parent.where, draft, true));  // cannot fail: no run is split
    }
    retire(entry);
  }
}

// Joins a node that has nothing but one child with that child.
void FibTrie::merge(FibWord& where, unsigned slot, uint32_t child) {
  const uint32_t upper = where.load(std::memory_order_relaxed);  // own writes
  const unsigned above = skip(upper);
  const unsigned together = above + 1 + skip(child);
  if (together > kMaxSkip) return;
  const FibNode& node = node_of(upper);
  const uint64_t skip_bytes = keep_bytes(node.skip, above) | uint64_t{slot} << (56 - 8 * above) |
                              keep_bytes(node_of(child).skip, skip(child)) >> 8 * (above + 1);
  const uint32_t joined =
      clone(child, together, skip_bytes, node.fallback.load(std::memory_order_relaxed), true);
  if (joined == 0) return;
  prefixes_of(joined) = std::move(prefixes_of(child));
  where.store(joined, std::memory_order_release);  // publishes the node
  retire(upper);
  retire(child);
}

// --- the table

void FibTrie::change_default(uint32_t entry) {
  live_.default_entry.store(entry, std::memory_order_release);  // names what was published before
}

namespace {
// release: who sees the new number sees all earlier changes whole. Every store of the
// change that follows is a release too: who sees one of them sees the new number.
void begin_change(FibLive& live) {
  live.version.store(live.version.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

unsigned byte_for(unsigned length) { return (length - 1) / 8; }
LocalPrefix local_prefix(const FibTrie::Key& key, unsigned length, uint32_t entry) {
  return {.entry = entry,
          .first = key[byte_for(length)],
          .length = static_cast<uint8_t>(length - 8 * byte_for(length))};
}
}  // namespace

Status FibTrie::set(const Key& key, unsigned length, uint32_t entry) {
  if (length > 128 || entry == 0 || is_child(entry)) {
    return {ErrorCode::invalid_argument,
            "a forwarding entry needs a prefix and an adjacency index"};
  }
  begin_change(live_);
  if (length == 0) {
    if (live_.default_entry.load(std::memory_order_relaxed) == 0) ++size_;
    change_default(entry);
    return {};
  }
  if (length <= FibRoot::kBits) {
    if (root_.find(slot_of(key), length) == 0) ++size_;
    root_.set(*arena_, slot_of(key), length, entry);
    return {};
  }
  const Insertion insertion{key, byte_for(length), local_prefix(key, length, entry)};
  if (insert(insertion)) return {};
  rcu_.reclaim();  // nodes that wait may be free by now
  if (insert(insertion)) return {};
  return {ErrorCode::no_memory, "the route table is full: all its nodes are in use; remove routes"};
}

bool FibTrie::erase(const Key& key, unsigned length) {
  if (length > 128) return false;
  begin_change(live_);
  if (length > FibRoot::kBits)
    return erase_inner({key, byte_for(length), local_prefix(key, length, 0)});
  if (!find(key, length)) return false;
  --size_;
  if (length == 0) {
    change_default(0);
  } else {
    root_.erase(*arena_, slot_of(key), length);
  }
  return true;
}

std::optional<uint32_t> FibTrie::find(const Key& key, unsigned length) const {
  uint32_t entry = 0;
  if (length == 0) {
    entry = live_.default_entry.load(std::memory_order_relaxed);  // own writes
  } else if (length <= FibRoot::kBits) {
    entry = root_.find(slot_of(key), length);
  } else if (length <= 128) {
    const Insertion place{key, byte_for(length), local_prefix(key, length, 0)};
    const Path path = path_to(place);
    if (path.size == 0) return std::nullopt;
    const FibWord& where = *path.places[path.size - 1].where;
    const LocalPrefix* found =
        prefixes_of(where.load(std::memory_order_relaxed)).find(place.prefix);
    if (found != nullptr) entry = found->entry;
  }
  return entry == 0 ? std::nullopt : std::optional(entry);
}

void FibTrie::for_each(const Visit& visit) const {
  if (const auto entry = find({}, 0)) visit({}, 0, *entry);
  const auto key_of = [](uint32_t slot) {
    return Key{static_cast<uint8_t>(slot >> 16), static_cast<uint8_t>(slot >> 8),
               static_cast<uint8_t>(slot)};
  };
  root_.for_each_prefix(
      [&](uint32_t slot, unsigned length, uint32_t entry) { visit(key_of(slot), length, entry); });
  root_.for_each_child([&](uint32_t slot, uint32_t entry) {
    Key key = key_of(slot);
    visit_node(entry, key, kRootBytes, visit);
  });
}

void FibTrie::visit_node(uint32_t entry, Key& key, unsigned from, const Visit& visit) const {
  const FibNode& node = node_of(entry);
  const unsigned byte = from + skip(entry);
  for (unsigned i = 0; i < skip(entry); ++i) key[from + i] = byte_of(node.skip, i);
  for (const LocalPrefix& prefix : prefixes_of(entry).all()) {
    key[byte] = prefix.first;
    visit(key, 8 * byte + prefix.length, prefix.entry);
  }
  for_each_child(node, is_direct(entry), [&](unsigned slot, uint32_t child) {
    key[byte] = static_cast<uint8_t>(slot);
    visit_node(child, key, byte + 1, visit);
  });
  std::fill(key.begin() + from, key.end(), uint8_t{0});
}

}  // namespace weir::dataplane
