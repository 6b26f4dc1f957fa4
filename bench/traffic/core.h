// Which core a thread has, and whether ordinary processes may take it away.
#pragma once

namespace weir::bench {

// Pins the calling thread; `realtime` puts it before all ordinary processes (SCHED_FIFO, for
// root alone). What the system refuses is left out: the trial then shows that it waited.
void claim_core(unsigned core, bool realtime) noexcept;

}  // namespace weir::bench
