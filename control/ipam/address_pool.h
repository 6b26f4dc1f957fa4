// Which addresses of one family are taken or rest, as intervals: the next free address
// is found in O(log n), however full or large a range is.
//
// Invariants: intervals are disjoint and never touch; an address is in one exactly when
// it is taken or rests; an address does not do both.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "control/ipam/number.h"

namespace weir::control {

class AddressPool {
 public:
  // From any state to the named one.
  void take(Number number, uint64_t owner);
  void rest(Number number, int64_t since);
  void free(Number number);
  void clear();

  bool is_taken(Number number) const { return taken_.contains(number); }
  bool is_resting(Number number) const { return resting_.contains(number); }
  uint64_t owner(Number number) const;  // 0: not taken
  std::optional<int64_t> resting_since(Number number) const;

  // Lowest address of [from, to] that is neither taken nor rests.
  std::optional<Number> next_free(Number from, Number to) const;
  struct Resting {
    int64_t since;
    Number number;
    auto operator<=>(const Resting&) const = default;
  };
  // Of the addresses in [from, to] that `usable` takes, the one that rests longest.
  // Looks at resting addresses one by one: for when nothing else is left.
  template <class Usable>
  std::optional<Resting> longest_resting(Number from, Number to, const Usable& usable) const {
    for (const Resting& resting : by_age_) {
      if (resting.number >= from && resting.number <= to && usable(resting.number)) return resting;
    }
    return std::nullopt;
  }
  // The one that rests longest of all.
  std::optional<Resting> oldest() const;

  uint64_t count_taken(Number from, Number to) const;
  uint64_t count_resting(Number from, Number to) const;

 private:
  void cover(Number number);
  void uncover(Number number);
  void forget_rest(Number number);

  std::map<Number, Number> busy_;  // first -> last
  std::map<Number, uint64_t> taken_;
  std::map<Number, int64_t> resting_;
  std::set<Resting> by_age_;
};

}  // namespace weir::control
