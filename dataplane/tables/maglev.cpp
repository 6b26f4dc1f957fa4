#include "dataplane/tables/maglev.h"

#include <algorithm>
#include <array>

namespace weir::dataplane {

namespace {

// Sizes double: a table of another size moves nearly every pick, so it changes seldom.
constexpr std::array<uint32_t, 9> kPrimes{251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65537};
constexpr size_t kEntriesPerBackend = 100;

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

}  // namespace

uint32_t Maglev::size_for(size_t backends) noexcept {
  const auto* fits = std::ranges::lower_bound(kPrimes, backends * kEntriesPerBackend);
  return fits == kPrimes.end() ? kPrimes.back() : *fits;
}

// Members take turns; in each round one of weight w may take w / greatest weight entries of
// its own permutation (next, next + skip, ...), which for a prime size visits them all.
Maglev::Maglev(std::vector<Member> members)
    : entries_(members.empty() ? 1 : size_for(members.size()), kNoBackend) {
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
