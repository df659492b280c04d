// What a daemon may still reach by a path, over TCP or by a signal once it
// serves: nothing, but what its policy names.  Landlock(7), where the kernel
// has it; seccomp stands behind it.
#ifndef COMMON_LANDLOCK_H
#define COMMON_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct landlock_path {
	const char *path; // a file, a device, or a folder with all below it
	bool is_writable; // reading is always allowed
};

// All zero: no file system, no TCP, no abstract socket, no signal to others.
struct landlock_policy {
	const struct landlock_path *paths; // borrowed
	size_t n_paths;
	const uint16_t *connect_ports; // borrowed; TCP, of any address
	size_t n_connect_ports;
};

// From here on only what the policy names.  Cannot be undone.  *ret_abi: the
// kernel's version of Landlock; TCP is covered from 4 on, abstract sockets
// and signals from 6 on.  -ENOSYS, -EOPNOTSUPP: this kernel has none, or a
// container hides it.
// Needs process_confine() first (no_new_privs).
MUST_CHECK int landlock_enter(const struct landlock_policy *, int *ret_abi);
// For main: enter, or end the process.  A kernel that has no Landlock, or no
// complete one, is a warning in the log; so is a bare build.  Is it in
// force, with file system and TCP?
bool landlock_enter_or_die(const struct landlock_policy *);
// Version of the kernel's Landlock, 0: none.
int landlock_kernel_abi(void);

#endif
