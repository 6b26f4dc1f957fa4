#include "dataplane/tables/fib_root.h"

namespace weir::dataplane {

FibRoot::FibRoot(int numa_node)
    : slot_memory_(size_t{kSlots} * sizeof(FibWord),
                   {.huge = true, .read_ahead = true, .numa_node = numa_node}),
      depth_memory_(kSlots, {}),
      prefix_memory_(size_t{2} * kSlots * sizeof(uint32_t), {}),
      slots_(slot_memory_.as<FibWord>()),
      depths_(depth_memory_.as<uint8_t>()),
      prefixes_(prefix_memory_.as<uint32_t>()),
      children_(kSlots / kBlock),
      prefix_count_(2 * kSlots / kBlock) {}

uint32_t FibRoot::find(uint32_t first, unsigned length) const noexcept {
  const uint32_t index = tree_index(first, length);
  return prefix_count_[index / kBlock] == 0 ? 0 : prefixes_[index];
}

void FibRoot::set(FibArena& arena, uint32_t first, unsigned length, uint32_t entry) {
  const uint32_t index = tree_index(first, length);
  prefix_memory_.touch(size_t{index} * sizeof(uint32_t), sizeof(uint32_t));
  if (prefixes_[index] == 0) ++prefix_count_[index / kBlock];
  prefixes_[index] = entry;
  replace(arena, first, length, length, entry);
}

void FibRoot::erase(FibArena& arena, uint32_t first, unsigned length) {
  const uint32_t index = tree_index(first, length);
  prefixes_[index] = 0;
  --prefix_count_[index / kBlock];
  uint32_t cover = index >> 1;
  unsigned cover_length = length - 1;
  while (cover_length > 0 && prefixes_[cover] == 0) {
    cover >>= 1;
    --cover_length;
  }
  replace(arena, first, length, cover_length, cover_length == 0 ? 0 : prefixes_[cover]);
}

// Every slot of the prefix that no longer prefix owns.
void FibRoot::replace(FibArena& arena, uint32_t first, unsigned length, unsigned new_depth,
                      uint32_t entry) {
  const uint32_t count = kSlots >> length;
  touch(first, count);
  depth_memory_.touch(first, count);
  for (uint32_t slot = first; slot < first + count; ++slot) {
    if (depths_[slot] > length) continue;
    depths_[slot] = static_cast<uint8_t>(new_depth);
    const uint32_t now = slots_[slot].load(std::memory_order_relaxed);  // own writes
    FibWord& word =
        fib_entry::is_child(now) ? arena.node(fib_entry::index(now)).fallback : slots_[slot];
    word.store(entry, std::memory_order_release);  // what it names was published before
  }
}

size_t FibRoot::memory_bytes() const noexcept {
  return slot_memory_.touched_bytes() + depth_memory_.touched_bytes() +
         prefix_memory_.touched_bytes();
}

}  // namespace weir::dataplane
