// The event loop of a daemon.
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <event2/event.h>

#include "common/cleanup.h"

enum {
	LOOP_PRIORITIES = 3, // 0 first; events start at 1
	LOOP_FIRST = 0,	     // for event_priority_set
	LOOP_WHEN_IDLE = 2,
};

// epoll, whatever the environment says: the sandbox knows no other.
MUST_CHECK int loop_new(struct event_base **ret);

#endif
