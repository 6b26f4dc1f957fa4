// Hash index of frontends: buckets of chained nodes.
//
// Thread safety: find by workers, all else by the main thread.
// Invariants: a reader finds a frontend that stays in the index whatever else changes: a
// node's fields are immutable but for `next`, a replacement takes the old one's place in one
// store, and an unlinked node keeps its `next` until a grace period has passed.
#pragma once

#include <array>
#include <memory>

#include "dataplane/core/rcu.h"
#include "dataplane/tables/service_view.h"

namespace weir::dataplane {

class FrontendIndex {
 public:
  explicit FrontendIndex(Rcu& rcu) : rcu_(rcu), buckets_(std::make_unique<Buckets>()) {}
  ~FrontendIndex();  // no worker may run any more
  FrontendIndex(const FrontendIndex&) = delete;
  FrontendIndex& operator=(const FrontendIndex&) = delete;

  // What the packet of this key is aimed at; nullptr when that is no frontend.
  const FrontendView* find(const FlowKey& key) const noexcept {
    const Node* node =
        bucket(key.destination, key.destination_port, key.protocol).load(std::memory_order_acquire);
    // acquire: pairs with set(); the node's fields are readable
    while (node != nullptr && !is_at(node->view, key))
      node = node->next.load(std::memory_order_acquire);
    return node == nullptr ? nullptr : &node->view;
  }

  void set(const FrontendView& view);    // adds or replaces
  void erase(const FrontendView& view);  // the one of the same address, port and protocol

 private:
  struct Node {
    FrontendView view;
    std::atomic<Node*> next{nullptr};
  };
  static constexpr size_t kBuckets = 1U << 16;
  using Buckets = std::array<std::atomic<Node*>, kBuckets>;

  static bool is_at(const FrontendView& view, const FlowKey& key) noexcept {
    return view.address == key.destination && view.port == key.destination_port &&
           view.protocol == key.protocol && view.family == key.family;
  }
  std::atomic<Node*>& bucket(const Ip6Bytes& address, uint16_t port,
                             uint8_t protocol) const noexcept {
    const FlowKey key{
        .source = address, .source_port = port, .protocol = protocol, .family = Family::ip6};
    return (*buckets_)[key.hash() % kBuckets];
  }
  std::atomic<Node*>& link_to(const FrontendView& view) const noexcept;

  Rcu& rcu_;
  std::unique_ptr<Buckets> buckets_;
};

}  // namespace weir::dataplane
