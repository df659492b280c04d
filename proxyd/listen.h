// A listening socket of ours.
#ifndef PROXYD_LISTEN_H
#define PROXYD_LISTEN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "proxyd/route.h"

struct proxyd;

enum {
	LISTEN_BACKLOG = 1024,
	LISTEN_TEXT_MAX = 128, // "unix:" and a path, or an address
};

// Where: an address, or a path in the file system.
struct listen_at {
	struct address address;
	const char *unix_path; // borrowed; NULL: the address
	mode_t mode;	       // of the socket in the file system
	bool has_gid;
	gid_t gid;
};

struct listener {
	struct proxyd *d; // borrowed
	enum door door;
	int fd;			// -1: closed
	bool is_unix;		// then without an address
	struct address address; // as bound: the port is real
	char text[LISTEN_TEXT_MAX];
	struct event event;
	struct event pause; // after running out of descriptors
};

// Bind and listen; nothing is accepted yet.
MUST_CHECK int listener_open(
    struct listener *, struct proxyd *, enum door, const struct listen_at *);
MUST_CHECK int listener_start(struct listener *);
void listener_close(struct listener *);

// listen_unix.c: a listening socket at at->unix_path.  -EADDRINUSE: somebody
// listens there.  -EEXIST: something else is there.
MUST_CHECK int listen_unix(const struct listen_at *, int *ret);

#endif
