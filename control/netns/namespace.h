// Work inside another network namespace.
//
// setns() changes one thread, so the work runs on a thread of its own that ends with
// it: no thread of the daemon is ever left in a pod's namespace.
// Thread safety: everything here may run on any thread; it blocks until the work is done.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "dataplane/api/codec.h"
#include "dataplane/api/error.h"

namespace weir::control {

// Identifies a namespace while it exists; the kernel reuses numbers afterwards.
struct NamespaceId {
  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const NamespaceId&) const = default;
};

class Namespace {
 public:
  // Opens a namespace by path. not_found when nothing is there; invalid_argument when it
  // is no network namespace. Opens nothing else: a FIFO does not block, a device is not
  // touched.
  static Result<Namespace> open(const std::string& path);

  NamespaceId id() const noexcept { return id_; }

  // Runs `work` on a new thread inside the namespace and returns what it returned.
  // permission without CAP_SYS_ADMIN.
  Status run(const std::function<Status()>& work) const;

  // The same for work that makes something.
  template <class T>
  Result<T> run_for(const std::function<Result<T>()>& work) const {
    Result<T> made{ErrorCode::unavailable, ""};
    const Status status = run([&]() -> Status {
      made = work();
      return made ? Status{} : Status{made.error()};
    });
    if (!status) return status.error();
    return made;
  }

 private:
  Namespace(api::Fd fd, NamespaceId id) : fd_(std::move(fd)), id_(id) {}

  api::Fd fd_;
  NamespaceId id_;
};

// False when nothing, or no network namespace, is at `path`.
bool namespace_exists(const std::string& path);

// Of the calling thread.
Result<NamespaceId> own_namespace();

}  // namespace weir::control
