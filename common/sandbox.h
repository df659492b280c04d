// System calls that a daemon may still make after its start.  A list is
// const, stands in the daemon's sandbox.c with a reason on every line, and is
// the same in every release: no option or environment variable widens it.
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "common/cleanup.h"
#include "common/landlock.h"

enum { SANDBOX_ARGS_MAX = 3 };

struct sandbox_rule {
	int syscall;
	const char *why;
	unsigned n_args; // all must hold
	struct scmp_arg_cmp args[SANDBOX_ARGS_MAX];
};

// clang-format off
#define ALLOW(name, reason)						\
	{ .syscall = SCMP_SYS(name), .why = (reason) }
// One argument must be a value.
#define ALLOW_ARG(name, n, value, reason)				\
	{ .syscall = SCMP_SYS(name), .why = (reason), .n_args = 1,	\
	    .args = { { (n), SCMP_CMP_EQ, (value), 0 } } }
// Two arguments must be values.
#define ALLOW_ARGS(name, n1, value1, n2, value2, reason)		\
	{ .syscall = SCMP_SYS(name), .why = (reason), .n_args = 2,	\
	    .args = { { (n1), SCMP_CMP_EQ, (value1), 0 },		\
		{ (n2), SCMP_CMP_EQ, (value2), 0 } } }
// No bit of the mask may be set in an argument: mmap, mprotect and PROT_EXEC.
#define ALLOW_WITHOUT(name, n, mask, reason)				\
	{ .syscall = SCMP_SYS(name), .why = (reason), .n_args = 1,	\
	    .args = { { (n), SCMP_CMP_MASKED_EQ, (mask), 0 } } }
// clang-format on

// From here on every other call, and every other architecture, kills the
// process.  Cannot be undone.  Bare builds: -ENOTSUP, nothing is done.
MUST_CHECK int sandbox_enter(const struct sandbox_rule *, size_t n);
// The last step of it, for a filter that was made otherwise; takes it.  Once
// it is in force there is no other call: nothing is given back.
MUST_CHECK int sandbox_load(scmp_filter_ctx filter);
// For main: enter, or end the process.  A bare build goes on without, a
// sanitizer build has a wider list; both say so in the log.
void sandbox_enter_or_die(const struct sandbox_rule *, size_t n);
// For main: the last walls of a daemon's start, in their order and never back:
// no privilege, no path but the policy's, no call but the list's.  Is Landlock
// in force?
bool sandbox_give_all_up(
    const struct landlock_policy *, const struct sandbox_rule *, size_t n);
// The compiled filter in readable form (pseudo filter code).
MUST_CHECK int sandbox_export(const struct sandbox_rule *, size_t n, int fd);

#endif
