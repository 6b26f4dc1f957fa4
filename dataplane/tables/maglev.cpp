#include "dataplane/tables/maglev.h"

#include <algorithm>
#include <array>

namespace weir::dataplane {

namespace {

// Sizes double: a table of another size moves nearly every pick, so it changes seldom.
constexpr std::array<uint32_t, 9> kPrimes{251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65537};
constexpr size_t kEntriesPerShare = 100;

struct Turn {
  uint32_t next = 0;  // entry that the member wants next
  uint32_t skip = 0;
  uint32_t credit = 0;  // below the greatest weight
};

Turn first_turn(uint64_t identity, uint32_t size) {
  const auto offset = static_cast<uint32_t>((identity >> 32) % size);
  const auto skip = static_cast<uint32_t>((identity & 0xffff'ffff) % (size - 1) + 1);
  return {.next = offset, .skip = skip};
}

uint32_t size_of(const std::vector<Maglev::Member>& members) {
  if (members.empty()) return 1;
  const uint32_t least = std::ranges::min(members, {}, &Maglev::Member::weight).weight;
  size_t sum = 0;
  for (const Maglev::Member& member : members) sum += member.weight;
  return Maglev::size_for((sum + least - 1) / least);
}

}  // namespace

uint32_t Maglev::size_for(size_t shares) noexcept {
  const auto* fits = std::ranges::lower_bound(kPrimes, shares * kEntriesPerShare);
  return fits == kPrimes.end() ? kPrimes.back() : *fits;
}

// Members take turns; in each round one of weight w may take w / greatest weight entries of
// its own permutation (next, next + skip, ...), which for a prime size visits them all.
Maglev::Maglev(std::vector<Member> members) : entries_(size_of(members), kNoBackend) {
  if (members.empty()) return;
  std::ranges::sort(members, {}, &Member::identity);
  const auto size = static_cast<uint32_t>(entries_.size());
  const uint32_t greatest = std::ranges::max(members, {}, &Member::weight).weight;
  std::vector<Turn> turns;
  turns.reserve(members.size());
  for (const Member& member : members) turns.push_back(first_turn(member.identity, size));

  for (uint32_t left = size;;) {
    for (size_t i = 0; i < members.size(); ++i) {
      Turn& turn = turns[i];
      turn.credit += members[i].weight;
      if (turn.credit < greatest) continue;
      turn.credit -= greatest;
      while (entries_[turn.next] != kNoBackend)
        turn.next =
            turn.next + turn.skip < size ? turn.next + turn.skip : turn.next + turn.skip - size;
      entries_[turn.next] = members[i].id;
      if (--left == 0) return;
    }
  }
}

}  // namespace weir::dataplane
