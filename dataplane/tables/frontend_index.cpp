#include "dataplane/tables/frontend_index.h"

namespace weir::dataplane {

FrontendIndex::~FrontendIndex() {
  for (std::atomic<Node*>& bucket : *buckets_) {
    for (Node* node = bucket.load(); node != nullptr;) {
      const std::unique_ptr<Node> owned(node);
      node = owned->next.load();
    }
  }
}

// The pointer to this frontend's node, or the null pointer at the end of its chain.
std::atomic<FrontendIndex::Node*>& FrontendIndex::link_to(const FrontendView& view) const noexcept {
  std::atomic<Node*>* link = &bucket(view.address, view.port, view.protocol);
  const FlowKey key{.destination = view.address,
                    .destination_port = view.port,
                    .protocol = view.protocol,
                    .family = view.family};
  // relaxed here and below: only this thread writes
  for (Node* node = link->load(std::memory_order_relaxed); node != nullptr;
       node = link->load(std::memory_order_relaxed)) {
    if (is_at(node->view, key)) break;
    link = &node->next;
  }
  return *link;
}

void FrontendIndex::set(const FrontendView& view) {
  std::atomic<Node*>& link = link_to(view);
  Node* old = link.load(std::memory_order_relaxed);
  auto* node = new Node{.view = view};
  if (old != nullptr)
    node->next.store(old->next.load(std::memory_order_relaxed), std::memory_order_relaxed);
  link.store(node, std::memory_order_release);  // pairs with find()
  rcu_.retire_delete(old);
}

void FrontendIndex::erase(const FrontendView& view) {
  std::atomic<Node*>& link = link_to(view);
  Node* old = link.load(std::memory_order_relaxed);
  if (old == nullptr) return;
  // release: the next node may be younger than the link that readers follow to it
  link.store(old->next.load(std::memory_order_relaxed), std::memory_order_release);
  rcu_.retire_delete(old);
}

}  // namespace weir::dataplane
