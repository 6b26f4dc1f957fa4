// Forwarding table: longest prefix match from an address to an adjacency index.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <span>

#include "dataplane/api/error.h"
#include "dataplane/api/net.h"
#include "dataplane/core/rcu.h"

namespace weir::dataplane {

// Placeholder with the final interface; replaced by the direct-indexed table.
template <size_t Bytes>
class Fib {
 public:
  using Key = std::array<uint8_t, Bytes>;  // network order

  explicit Fib(Rcu& rcu) : rcu_(rcu) {}

  // Any worker. 0 = no route.
  uint32_t lookup(const Key& key) const noexcept {
    for (int length = Bytes * 8; length >= 0; --length) {
      const auto found = routes_.find({length, mask(key, length)});
      if (found != routes_.end()) return found->second;
    }
    return 0;
  }

  // Main thread. next_hop != 0.
  Status set(const Key& key, uint8_t length, uint32_t next_hop) {
    routes_[{length, mask(key, length)}] = next_hop;
    return {};
  }
  bool erase(const Key& key, uint8_t length) { return routes_.erase({length, mask(key, length)}) > 0; }
  size_t size() const noexcept { return routes_.size(); }
  size_t memory_bytes() const noexcept { return 0; }

 private:
  static Key mask(Key key, int length) {
    for (size_t i = 0; i < Bytes; ++i) {
      const int kept = std::clamp(length - static_cast<int>(i) * 8, 0, 8);
      key[i] &= static_cast<uint8_t>(0xff00 >> kept);
    }
    return key;
  }
  Rcu& rcu_;
  std::map<std::pair<int, Key>, uint32_t> routes_;
};

using Fib4 = Fib<4>;
using Fib6 = Fib<16>;

}  // namespace weir::dataplane
