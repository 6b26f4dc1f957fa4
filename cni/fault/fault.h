// Fault injection: named places at which a test makes a program die, hang or fail.
//
// A build with -Dfault_injection=true reads the variable WEIR_FAULT: "kill@NAME",
// "abort@NAME", "hang@NAME" or "error@NAME"; "#N" behind it means the N-th time that the
// place is reached (default 1). In other builds the macros are empty.
//
// The program itself lists its places in the ELF section weir_faults, strings that end
// with a zero; "!" in front marks those that can return an error. So a test that walks
// through them forgets none.
// Thread safety: any thread.
#pragma once

#ifdef WEIR_FAULT_INJECTION

#include <optional>

#include "dataplane/api/error.h"

namespace weir::fault {

// Dies or hangs when WEIR_FAULT says so.
void reach(const char* name);
// The same, and the error that the place shall return.
std::optional<Error> fail(const char* name);

}  // namespace weir::fault

// R: the linker's garbage collection keeps the section.
#define WEIR_FAULT_LIST(text) \
  asm volatile(".pushsection weir_faults,\"aR\",@progbits\n.asciz \"" text "\"\n.popsection")

#define WEIR_FAULT_POINT(name)  \
  do {                          \
    WEIR_FAULT_LIST(name);      \
    ::weir::fault::reach(name); \
  } while (false)

// For functions that return a Status or a Result.
#define WEIR_FAULT_ERROR(name)                                                  \
  do {                                                                          \
    WEIR_FAULT_LIST("!" name);                                                  \
    if (auto injected = ::weir::fault::fail(name)) return *std::move(injected); \
  } while (false)

#else

#define WEIR_FAULT_POINT(name) static_cast<void>(0)
#define WEIR_FAULT_ERROR(name) static_cast<void>(0)

#endif
