#include "control/ipam/address_pool.h"

#include <iterator>

namespace weir::control {

namespace {

template <class Map>
uint64_t count(const Map& map, Number from, Number to) {
  return static_cast<uint64_t>(std::distance(map.lower_bound(from), map.upper_bound(to)));
}

}  // namespace

void AddressPool::take(Number number, uint64_t owner) {
  forget_rest(number);
  taken_[number] = owner;
  cover(number);
}

void AddressPool::rest(Number number, int64_t since) {
  forget_rest(number);
  taken_.erase(number);
  resting_[number] = since;
  by_age_.insert({since, number});
  cover(number);
}

void AddressPool::free(Number number) {
  forget_rest(number);
  taken_.erase(number);
  uncover(number);
}

void AddressPool::clear() { *this = AddressPool(); }

uint64_t AddressPool::owner(Number number) const {
  const auto found = taken_.find(number);
  return found == taken_.end() ? 0 : found->second;
}

std::optional<int64_t> AddressPool::resting_since(Number number) const {
  const auto found = resting_.find(number);
  return found == resting_.end() ? std::nullopt : std::optional<int64_t>(found->second);
}

std::optional<Number> AddressPool::next_free(Number from, Number to) const {
  if (from > to) return std::nullopt;
  auto after = busy_.upper_bound(from);
  if (after == busy_.begin()) return from;
  const Number end = std::prev(after)->second;
  if (end < from) return from;
  // Intervals never touch, so what follows one is free.
  return end < to ? std::optional<Number>(end + 1) : std::nullopt;
}

std::optional<AddressPool::Resting> AddressPool::oldest() const {
  return by_age_.empty() ? std::nullopt : std::optional<Resting>(*by_age_.begin());
}

uint64_t AddressPool::count_taken(Number from, Number to) const { return count(taken_, from, to); }
uint64_t AddressPool::count_resting(Number from, Number to) const {
  return count(resting_, from, to);
}

void AddressPool::cover(Number number) {
  Number first = number;
  Number last = number;
  auto after = busy_.upper_bound(number);
  if (after != busy_.begin()) {
    const auto before = std::prev(after);
    if (before->second >= number) return;
    if (before->second + 1 == number) first = before->first;
  }
  if (after != busy_.end() && after->first == number + 1) {
    last = after->second;
    busy_.erase(after);
  }
  busy_[first] = last;
}

void AddressPool::uncover(Number number) {
  const auto after = busy_.upper_bound(number);
  if (after == busy_.begin()) return;
  const auto interval = std::prev(after);
  const auto [first, last] = *interval;
  if (last < number) return;
  if (first == number) {
    busy_.erase(interval);
  } else {
    interval->second = number - 1;
  }
  if (last > number) busy_[number + 1] = last;
}

void AddressPool::forget_rest(Number number) {
  const auto found = resting_.find(number);
  if (found == resting_.end()) return;
  by_age_.erase({found->second, number});
  resting_.erase(found);
}

}  // namespace weir::control
