// What every daemon does first and last: adopt descriptors, harden, confine.
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/ipc.h"

// Descriptors of a started daemon: 3 is the parent's channel, from 4 on one
// channel for each of the daemon's roles, in the order of its own table.
enum {
	PROCESS_PARENT_FD = 3,
	PROCESS_FIRST_CHANNEL_FD = 4,
	PROCESS_CHANNELS_MAX = 5,
};

struct process_channels {
	int parent_fd;
	size_t n;
	int fds[PROCESS_CHANNELS_MAX];
};

// Check that descriptors 3 .. 3 + n are SEQPACKET sockets, set CLOEXEC, close
// all others above.  -ENOTSOCK when the daemon was started by hand.
MUST_CHECK int process_take_channels(size_t n, struct process_channels *ret);
// "NAME: started without its siblings ...", to standard error: what is
// missing and how to start the suite.
void process_explain_alone(const char *name, const char *const *siblings);
// No core dumps, not dumpable, umask 077, signals to their defaults, SIGPIPE
// ignored.  Call it before any secret exists.
MUST_CHECK int process_harden(void);
// What a daemon may use of the machine, soft and hard limit alike; less where
// the hard limit that it was started with is lower.
struct process_limits {
	uint64_t descriptors; // RLIMIT_NOFILE
	uint64_t data_bytes;  // RLIMIT_DATA; not in sanitizer builds
};
// Also no further process (RLIMIT_NPROC).  *ret_descriptors: how many it got.
MUST_CHECK int process_limit(
    const struct process_limits *, uint64_t *ret_descriptors);
// For main: limit, or end the process; fewer descriptors are a warning.
void process_limit_or_die(const struct process_limits *);
// Keep all memory, now and later, out of swap.  -EPERM: that needs an
// unlimited RLIMIT_MEMLOCK, or the right to set it; nothing is locked then.
MUST_CHECK int process_lock_memory(void);
// Drop all capabilities and the right to gain privileges; read back.
MUST_CHECK int process_confine(void);

uint64_t clock_unix_ms(void); // wall clock
uint64_t clock_mono_ms(void); // monotonic
uint64_t clock_boot_ms(void); // the same, and counts while the machine sleeps

// Write "fatal" with the error to the log and exit 1.
_Noreturn void fatal(const char *what, int error);

#endif
