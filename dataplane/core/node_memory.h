// Memory of one NUMA node for one worker: hugepages when allowed and there, else
// normal pages with transparent hugepages asked for. Zeroed, populated at once.
#pragma once

#include <cstddef>

namespace weir::dataplane {

class NodeMemory {
 public:
  // node -1: no binding. Aborts when the machine is out of memory: the process has not
  // started to serve yet.
  NodeMemory(size_t bytes, int node, bool hugepages);
  ~NodeMemory();
  NodeMemory(const NodeMemory&) = delete;
  NodeMemory& operator=(const NodeMemory&) = delete;

  std::byte* data() const noexcept { return data_; }
  bool huge() const noexcept { return huge_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  bool huge_ = false;
};

}  // namespace weir::dataplane
