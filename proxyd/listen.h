// A listening socket of ours.
#ifndef PROXYD_LISTEN_H
#define PROXYD_LISTEN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "proxyd/route.h"

struct proxyd;

struct listener {
	struct proxyd *d; // borrowed
	enum door door;
	int fd;			// -1: closed
	struct address address; // as bound: the port is real
	char text[ADDRESS_TEXT_MAX];
	struct event event;
	struct event pause; // after running out of descriptors
};

// Bind and listen; nothing is accepted yet.
MUST_CHECK int listener_open(
    struct listener *, struct proxyd *, enum door, const struct address *);
MUST_CHECK int listener_start(struct listener *);
void listener_close(struct listener *);

#endif
