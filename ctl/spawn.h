// Start one daemon as our child: a new program, its channels at the numbers
// it expects, and nothing else of ours.
#ifndef CTL_SPAWN_H
#define CTL_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "ctl/privilege.h"

enum { SPAWN_NO_EXEC = 127 }; // exit status: the program could not be run

struct spawn {
	const char *path;
	char *const *argv;
	const int *fds; // become 3, 4, ... of the child; they stay ours here
	size_t n_fds;
	const struct privilege *privilege; // what to take away from it
	enum daemon_index daemon;
};

MUST_CHECK int spawn(const struct spawn *, pid_t *ret);

#endif
