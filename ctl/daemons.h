// The daemons of a node: one const table, and where their programs are.
#ifndef CTL_DAEMONS_H
#define CTL_DAEMONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/ipc.h"

enum daemon_index {
	CRYPTOD,
	SIGNER,
	VERIFIER,
	GOSSIPD,
	PROXYD,
	N_DAEMONS,
};

struct daemon {
	const char *name; // in logs and the status
	const char *program;
	const char *section; // of the file; its folder under the state
	const char
	    *role_option; // without dashes; NULL: the program has one role
	enum ipc_role role;
	bool keeps_state;
	bool needs_network;
	const char *user; // of its own, if the machine has it
};

extern const struct daemon daemons[N_DAEMONS];

// Path of the program.  dir: --daemon-dir, or NULL: beside our own program,
// in ../sbin, in the build tree, in the installed sbin.  -ENOENT.
MUST_CHECK int daemon_find(
    const struct daemon *, const char *dir, char ret[static PATH_MAX]);

#endif
