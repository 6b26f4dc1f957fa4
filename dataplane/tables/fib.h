// Forwarding table: longest prefix match from an address to an adjacency index.
//
// Thread safety: lookup() by any number of workers, wait-free but for retries while the
// table changes, under the rules of core/rcu.h: a worker is online and reports quiescent
// outside lookups. All else by the main thread alone.
// Invariants: a lookup gives the answer of some moment between its start and its end. A
// set or erase moves each address it covers by one store; addresses move one by one.
//
// Levels: the first 24 bits index a flat table; below that, nodes of 8 bits each, with
// bytes that decide nothing skipped. An IPv4 lookup waits for memory once or twice, an
// IPv6 lookup once more for each byte at which prefixes part ways.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>

#include "dataplane/api/error.h"
#include "dataplane/core/rcu.h"
#include "dataplane/tables/fib_node.h"
#include "dataplane/tables/fib_trie.h"

namespace weir::dataplane {

// Address bytes that a lookup has not used yet, the next in the highest bits.
template <size_t Bytes>
struct FibBits {
  uint64_t high;
  uint64_t low;  // of 16-byte addresses

  FibBits() = default;
  explicit FibBits(const std::array<uint8_t, Bytes>& key) noexcept {
    if constexpr (Bytes == 4) {
      uint32_t word;
      std::memcpy(&word, key.data(), sizeof word);
      high = uint64_t{__builtin_bswap32(word)} << 32;
    } else {
      std::memcpy(&high, key.data(), sizeof high);
      std::memcpy(&low, key.data() + sizeof high, sizeof low);
      high = __builtin_bswap64(high);
      low = __builtin_bswap64(low);
    }
  }
  uint32_t root_slot() const noexcept { return static_cast<uint32_t>(high >> 40); }
  unsigned slot() const noexcept { return static_cast<unsigned>(high >> 56); }
  void drop(unsigned bytes) noexcept {  // 1..7
    if constexpr (Bytes == 4) {
      high <<= 8 * bytes;
    } else {
      high = high << 8 * bytes | low >> (64 - 8 * bytes);
      low <<= 8 * bytes;
    }
  }
};

template <size_t Bytes>
class Fib {
  static_assert(Bytes == 4 || Bytes == 16);

 public:
  using Key = std::array<uint8_t, Bytes>;  // network order

  // Throws std::bad_alloc when the address space cannot be had.
  explicit Fib(Rcu& rcu, const FibOptions& options = {}) : readers_{}, trie_(rcu, options) {
    readers_ = trie_.readers();
  }

  // Any worker. 0 = no route.
  uint32_t lookup(const Key& key) const noexcept;
  // put(i, lookup(key(i))) for i below `count`; waits for the memory of many keys at once.
  // key(i) -> const Key& may be called several times.
  template <class KeyOf, class Put>
  void lookup(size_t count, KeyOf&& key, Put&& put) const noexcept;
  void lookup(const Key* keys, uint32_t* out, size_t count) const noexcept {
    lookup(
        count, [keys](size_t i) -> const Key& { return keys[i]; },
        [out](size_t i, uint32_t next_hop) { out[i] = next_hop; });
  }

  // Any worker. Changes until now, never 0: while the number stays, so does the answer of a
  // lookup that followed the reading of it.
  uint64_t changes() const noexcept {
    // acquire: pairs with changed(); a lookup that follows sees that change
    return changes_.load(std::memory_order_acquire);
  }

  // Main thread. Bits of `key` past `length` are ignored. next_hop: 1..2^31-1.
  // no_memory: the table is full and unchanged.
  Status set(const Key& key, uint8_t length, uint32_t next_hop) {
    if (length > Bytes * 8) return {ErrorCode::invalid_argument, "prefix longer than the address"};
    const Status status = trie_.set(masked(key, length), length, next_hop);
    changed();
    return status;
  }
  // true: it was there and is gone. false: it was not there, or (find() tells) could not
  // be taken out because all nodes, those kept for erasures too, wait for workers.
  bool erase(const Key& key, uint8_t length) {
    const bool erased = length <= Bytes * 8 && trie_.erase(masked(key, length), length);
    changed();
    return erased;
  }
  std::optional<uint32_t> find(const Key& key, uint8_t length) const {
    return length <= Bytes * 8 ? trie_.find(masked(key, length), length) : std::nullopt;
  }
  // visit(const Key&, uint8_t length, uint32_t next_hop), in no order; it must not change
  // the table.
  template <class F>
  void for_each(F&& visit) const {
    trie_.for_each([&](const FibTrie::Key& key, unsigned length, uint32_t entry) {
      Key own;
      std::copy_n(key.begin(), Bytes, own.begin());
      visit(own, static_cast<uint8_t>(length), entry);
    });
  }
  size_t size() const noexcept { return trie_.size(); }
  // Memory behind the table, at most; see table_memory.h.
  size_t memory_bytes() const noexcept { return trie_.memory_bytes(); }
  // Inner nodes, those that wait for a grace period included.
  uint32_t nodes_in_use() const noexcept { return trie_.nodes_in_use(); }

 private:
  static constexpr unsigned kLane = 16;  // keys in flight; about what a core can wait for

  // A lookup below the first level. Not initialized: lanes of them live on the stack.
  struct Cursor {
    FibBits<Bytes> bits;
    uint32_t entry;
    uint32_t best;        // inherited so far, 0 = nothing
    const FibWord* word;  // the next entry; nullptr: the address leaves the tree
    unsigned key;         // in a batch: its number
  };

  static FibTrie::Key masked(const Key& key, unsigned length) noexcept {
    FibTrie::Key out{};
    std::copy_n(key.begin(), length / 8, out.begin());
    if (length % 8 != 0)
      out[length / 8] = key[length / 8] & static_cast<uint8_t>(0xff00U >> length % 8);
    return out;
  }
  // After the change's last store and before a next hop that it replaced may be retired: so an
  // answer that is kept with its number of changes is never used after a grace period.
  void changed() noexcept {
    changes_.store(changes_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  static void prefetch(const void* address) noexcept { __builtin_prefetch(address); }

  static uint32_t load(const FibWord* word) noexcept {
    // acquire: an entry publishes the node or adjacency it names
    return word == nullptr ? 0 : word->load(std::memory_order_acquire);
  }
  void step(Cursor& cursor) const noexcept;
  void prefetch_node(const Cursor& cursor) const noexcept;
  uint32_t inherited(uint32_t best) const noexcept {
    return best != 0 ? best : readers_.live->default_entry.load(std::memory_order_acquire);
  }
  uint64_t version() const noexcept {
    // acquire: loads that follow see no less than the changes counted here
    return readers_.live->version.load(std::memory_order_acquire);
  }
  template <class KeyOf>
  uint32_t lookup_lane(KeyOf&& key, uint32_t* out, unsigned count) const noexcept;
  template <class KeyOf>
  uint32_t lookup_lane4(KeyOf&& key, uint32_t* out, unsigned count) const noexcept;

  alignas(64) FibTrie::Readers readers_;  // constant; apart from what the writer changes
  alignas(64) std::atomic<uint64_t> changes_{1};  // written by the main thread, read by workers
  alignas(64) FibTrie trie_;
};

// From the cursor's child entry to the word that comes next.
template <size_t Bytes>
inline void Fib<Bytes>::step(Cursor& cursor) const noexcept {
  const FibNode& node = readers_.nodes[fib_entry::index(cursor.entry)];
  // acquire: the adjacency it names was published before
  const uint32_t fallback = node.fallback.load(std::memory_order_acquire);
  if (fallback != 0) cursor.best = fallback;
  if constexpr (Bytes > 4) {
    const unsigned skip = fib_entry::skip(cursor.entry);
    if (skip > 0) {
      if ((cursor.bits.high ^ node.skip) >> (64 - 8 * skip) != 0) {
        cursor.word = nullptr;
        return;
      }
      cursor.bits.drop(skip);
    }
  }
  cursor.word = &node.entry(cursor.bits.slot(), fib_entry::is_direct(cursor.entry));
  cursor.bits.drop(1);
}

template <size_t Bytes>
inline uint32_t Fib<Bytes>::lookup(const Key& key) const noexcept {
  for (;;) {
    const uint64_t before = version();
    const FibBits<Bytes> bits(key);
    Cursor cursor{.bits = bits, .entry = load(&readers_.root[bits.root_slot()]), .best = 0};
    cursor.bits.drop(3);
    while (fib_entry::is_child(cursor.entry)) {
      step(cursor);
      cursor.entry = load(cursor.word);
    }
    if (cursor.entry != 0) return cursor.entry;
    const uint32_t answer = inherited(cursor.best);
    if (version() == before) return answer;
  }
}

template <size_t Bytes>
inline void Fib<Bytes>::prefetch_node(const Cursor& cursor) const noexcept {
  const FibNode& node = readers_.nodes[fib_entry::index(cursor.entry)];
  prefetch(&node);
  if (!fib_entry::is_direct(cursor.entry)) return;
  // The slot follows the skipped bytes; 0..7 of them.
  const unsigned slot =
      static_cast<unsigned>(cursor.bits.high >> (56 - 8 * fib_entry::skip(cursor.entry))) & 0xff;
  prefetch(&node.entries()[slot]);
}

// All keys take the first level, those with a child go on together: each pass waits for
// one line of every key at once. Returns which answers were not in the last entry, a bit each.
template <size_t Bytes>
template <class KeyOf>
inline uint32_t Fib<Bytes>::lookup_lane(KeyOf&& key, uint32_t* out, unsigned count) const noexcept {
  for (unsigned i = 0; i < count; ++i)
    prefetch(&readers_.root[FibBits<Bytes>(key(i)).root_slot()]);

  std::array<Cursor, kLane> cursors;
  unsigned active = 0;
  uint32_t inherits = 0;
  const auto answer = [&](unsigned number, uint32_t entry, uint32_t best) {
    out[number] = entry != 0 ? entry : inherited(best);
    inherits |= uint32_t{entry == 0} << number;
  };
  for (unsigned i = 0; i < count; ++i) {
    FibBits<Bytes> bits(key(i));
    const uint32_t entry = load(&readers_.root[bits.root_slot()]);
    if (!fib_entry::is_child(entry)) {
      answer(i, entry, 0);
      continue;
    }
    bits.drop(3);
    cursors[active] = {.bits = bits, .entry = entry, .best = 0, .word = nullptr, .key = i};
    prefetch_node(cursors[active++]);
  }
  while (active > 0) {
    for (unsigned i = 0; i < active; ++i) {
      step(cursors[i]);
      prefetch(cursors[i].word);
    }
    unsigned left = 0;
    for (unsigned i = 0; i < active; ++i) {
      Cursor& cursor = cursors[i];
      cursor.entry = load(cursor.word);
      if (fib_entry::is_child(cursor.entry)) {
        prefetch_node(cursor);
        cursors[left++] = cursor;
      } else {
        answer(cursor.key, cursor.entry, cursor.best);
      }
    }
    active = left;
  }
  return inherits;
}

// The same for IPv4, where one node at most lies below the first level.
template <size_t Bytes>
template <class KeyOf>
inline uint32_t Fib<Bytes>::lookup_lane4(KeyOf&& key, uint32_t* out, unsigned count) const noexcept {
  std::array<uint32_t, kLane> address;  // host order
  for (unsigned i = 0; i < count; ++i) {
    address[i] = static_cast<uint32_t>(FibBits<Bytes>(key(i)).high >> 32);
    prefetch(&readers_.root[address[i] >> 8]);
  }
  for (unsigned i = 0; i < count; ++i) {
    out[i] = load(&readers_.root[address[i] >> 8]);
    if (!fib_entry::is_child(out[i])) continue;
    const FibNode& node = readers_.nodes[fib_entry::index(out[i])];
    prefetch(&node);
    if (fib_entry::is_direct(out[i])) prefetch(&node.entries()[address[i] & 0xff]);
  }
  uint32_t inherits = 0;
  for (unsigned i = 0; i < count; ++i) {
    uint32_t best = 0;
    if (fib_entry::is_child(out[i])) {
      const FibNode& node = readers_.nodes[fib_entry::index(out[i])];
      // acquire, here and in load(): the adjacency it names was published before
      best = node.fallback.load(std::memory_order_acquire);
      out[i] = load(&node.entry(address[i] & 0xff, fib_entry::is_direct(out[i])));
    }
    if (out[i] != 0) [[likely]]
      continue;
    out[i] = inherited(best);
    inherits |= 1U << i;
  }
  return inherits;
}

template <size_t Bytes>
template <class KeyOf, class Put>
inline void Fib<Bytes>::lookup(size_t count, KeyOf&& key, Put&& put) const noexcept {
  for (size_t first = 0; first < count; first += kLane) {
    const auto lane = static_cast<unsigned>(std::min<size_t>(count - first, kLane));
    const auto key_of = [&](unsigned i) -> const Key& { return key(first + i); };
    std::array<uint32_t, kLane> out;
    const uint64_t before = version();
    uint32_t inherits;
    if constexpr (Bytes == 4) {
      inherits = lookup_lane4(key_of, out.data(), lane);
    } else {
      inherits = lookup_lane(key_of, out.data(), lane);
    }
    if (inherits != 0 && version() != before) [[unlikely]] {
      for (unsigned i = 0; i < lane; ++i)
        if ((inherits >> i & 1) != 0) out[i] = lookup(key_of(i));
    }
    for (unsigned i = 0; i < lane; ++i) put(first + i, out[i]);
  }
}

using Fib4 = Fib<4>;
using Fib6 = Fib<16>;

}  // namespace weir::dataplane
