// The porter: a process beside a daemon that systemd started, which opens and
// knocks at doors for it.  The daemon itself needs no path, no new socket and
// no look at who is calling; it gets channels, ready to use.
//
// A door is a named SOCK_SEQPACKET socket that systemd listens on.  A caller
// sends nothing.  The kernel says which user it is (SO_PEERCRED); if that is
// the one user of the door, the porter makes a fresh socketpair, hands one end
// to its daemon and one to the caller (SCM_RIGHTS), and hangs up.  The caller
// is another daemon's porter, which looks the same way at who made the pair.
#ifndef COMMON_PORTER_H
#define COMMON_PORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/sandbox.h"

enum {
	PORTER_DOORS_MAX = 5, // those of one daemon
	PORTER_PATH_MAX = 108,
	PORTER_BACKOFF_MS = 50, // to knock again, doubled each time
	PORTER_BACKOFF_MAX_MS = 1000,
};

struct porter_door {
	const char *name;	    // in the log
	uid_t uid;		    // of the one user on its other side
	int listening;		    // served by us: taken; -1: we knock
	char path[PORTER_PATH_MAX]; // where to knock
};

// Fork the porter; it knocks at once wherever it has to.  Call it with one
// thread, before any secret and before the guard.  *ret_fd: our end.
MUST_CHECK int porter_start(struct porter_door *, size_t n, int *ret_fd);
// The channel behind this door was lost: knock again.
MUST_CHECK int porter_knock(int fd, size_t door);
// Our log has another level: the porter's shall have it too.
MUST_CHECK int porter_tell_level(int fd);
// A channel that the porter has for us.  -EAGAIN: none; -EPIPE: the porter is
// gone; -EPROTO: it is mad.
MUST_CHECK int porter_take(
    int fd, size_t n, size_t *ret_door, int *ret_channel);

extern const struct sandbox_rule porter_sandbox[];
extern const size_t porter_n_sandbox;

#endif
