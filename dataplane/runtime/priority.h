// The process's share of cores that others use too.
#pragma once

namespace weir::dataplane {

// Asks for about ten times an ordinary process's share (nice -10). Where the kernel shares
// out the processor by sessions (autogroups, sched(7)), nice values count within a
// session alone, so the session's own value is set as well; weir-dataplane leads its session
// as a service. Without the right to (CAP_SYS_NICE) nothing changes: it is no requirement.
// Call before threads are made.
void raise_priority();

}  // namespace weir::dataplane
