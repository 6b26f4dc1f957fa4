#include "dataplane/runtime/priority.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "dataplane/api/codec.h"

namespace weir::dataplane {

namespace {

constexpr int kNice = -10;

// Others of the session would get the share too.
bool leads_session() noexcept { return getsid(0) == getpid(); }

}  // namespace

void raise_priority() {
  if (setpriority(PRIO_PROCESS, 0, kNice) != 0 || !leads_session()) return;
  const api::Fd group(open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC));
  const std::string text = std::to_string(kNice);
  if (!group) return;  // no CONFIG_SCHED_AUTOGROUP: nice is all that counts
  [[maybe_unused]] const ssize_t written = write(group.get(), text.data(), text.size());
}

}  // namespace weir::dataplane
