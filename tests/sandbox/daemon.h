// Start one real daemon the way `meshllm run` does, with this process in the
// place of the parent and of every other daemon.
#ifndef TESTS_SANDBOX_DAEMON_H
#define TESTS_SANDBOX_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/ipc.h"
#include "common/process.h"

struct daemon {
	pid_t pid;
	size_t n;      // channels besides the parent's
	int parent_fd; // our end; -1 once a peer has taken it
	int fds[PROCESS_CHANNELS_MAX];
};

struct daemon_options {
	const char *program;
	char *const *argv;
	size_t n_channels;
	bool no_memfd_secret; // as on a kernel that has none
	const char *const
	    *environment; // nothing but these, NULL at the end; or NULL
};

// Fails the test when it cannot.
void daemon_start(struct daemon *ret, const struct daemon_options *);
// Closes what is left of our ends; returns the wait status.
int daemon_wait(struct daemon *);
// A peer without a loop over one of our ends, which it takes.
struct ipc_peer *daemon_peer(int *fd, enum ipc_role self, enum ipc_role other,
    const struct ipc_rule *rules, size_t n_rules, void *arg);
// Wait for one frame on fd and dispatch it: -ETIMEDOUT when nothing comes.
int daemon_pump(struct ipc_peer *, int fd);

#endif
