#include "dataplane/tables/hop_groups.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "dataplane/core/flow_hash.h"

namespace weir::dataplane {

namespace {

uint64_t seed_of(const IpAddress& address) {
  uint64_t hash = static_cast<uint64_t>(address.family);
  for (size_t at = 0; at < address.bytes.size(); at += sizeof hash) {
    uint64_t word = 0;
    std::memcpy(&word, address.bytes.data() + at, sizeof word);
    hash = flow::mix(hash, word);
  }
  return hash;
}

// The smallest wins: exponential with the weight as its rate, so shares are as the weights are.
double distance(uint64_t seed, uint32_t bucket, uint32_t weight) {
  const uint64_t hash = flow::mix(flow::mix(seed, bucket), flow::kSecond);
  const double uniform = (static_cast<double>(hash >> 11) + 0.5) * 0x1p-53;  // never 0 or 1
  return -std::log(uniform) / weight;
}

}  // namespace

HopGroups::HopGroups(Rcu& rcu)
    : rcu_(rcu),
      memory_(size_t{kCapacity} * kBuckets * sizeof(uint32_t), {}),
      buckets_(memory_.as<std::atomic<uint32_t>>()),
      free_(std::make_shared<std::vector<uint32_t>>()) {}

Result<uint32_t> HopGroups::allocate(std::span<const Member> members) {
  uint32_t group = fresh_;
  if (!free_->empty()) {
    group = free_->back();
    free_->pop_back();
  } else if (fresh_ < kCapacity) {
    ++fresh_;
  } else {
    return {ErrorCode::limit, "all " + std::to_string(kCapacity) +
                                  " sets of several next hops are in use; remove routes"};
  }
  memory_.touch(size_t{group} * kBuckets * sizeof(uint32_t), kBuckets * sizeof(uint32_t));
  assign(group, members);
  return group;
}

void HopGroups::assign(uint32_t group, std::span<const Member> members) {
  std::vector<uint64_t> seeds(members.size());
  std::ranges::transform(members, seeds.begin(), seed_of, &Member::address);
  for (uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
    size_t nearest = 0;
    double least = INFINITY;
    for (size_t i = 0; i < members.size(); ++i) {
      const double here = distance(seeds[i], bucket, members[i].weight);
      if (here < least) nearest = i;
      least = std::min(least, here);
    }
    // release: the adjacency was set before
    buckets_[size_t{group} * kBuckets + bucket].store(members[nearest].adjacency, std::memory_order_release);
  }
}

void HopGroups::release(uint32_t group) {
  rcu_.retire([free = free_, group] { free->push_back(group); });
}

}  // namespace weir::dataplane
