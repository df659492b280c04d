// Put in front of a daemon's main.c: everything in it stays as it is, up to
// and with the sandbox, and then the attacker runs instead of the loop.
#ifndef TESTS_TAKEOVER_HOSTILE_H
#define TESTS_TAKEOVER_HOSTILE_H

#include <event2/event.h>

// Returns when the parent says stop.  0, as the loop does.
int hostile_dispatch(struct event_base *);

#define event_base_dispatch hostile_dispatch

#endif
