#include "bench/traffic/core.h"

#include <pthread.h>
#include <sched.h>

namespace weir::bench {

void claim_core(unsigned core, bool realtime) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  const sched_param first{.sched_priority = 1};
  if (realtime) pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
}

}  // namespace weir::bench
