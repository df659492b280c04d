// A process may have one tracer.  A daemon that holds keys takes that place
// itself: a guard, made before there is a key, traces the daemon and is traced
// by it.  A debugger is refused with both, and neither outlives the other.
//
// It does not stop who loads kernel modules, nor reading and writing through
// /proc/PID/mem by root: secret.h is about the first, the kernel's
// proc_mem.force_override about the second.
#ifndef COMMON_GUARD_H
#define COMMON_GUARD_H

#include <sys/types.h>

#include "common/cleanup.h"
#include "common/sandbox.h"

// Call it with one thread, before process_harden() and any secret: after it
// a guard without privileges may not attach.  The guard has no descriptor and
// may do nothing but let the daemon go on after a signal.  -EPERM: the kernel
// forbids tracing, or somebody traces us already.
MUST_CHECK int guard_start(pid_t *ret_guard);
// For main: start, or say in the log that there is none.  Ends the process
// when somebody else traces it.  A bare build has none.  Is there one?
bool guard_start_or_die(void);

extern const struct sandbox_rule guard_sandbox[];
extern const size_t guard_n_sandbox;

#endif
