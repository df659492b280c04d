// Memory of objects that end in the middle of their own callbacks: it is
// given back when the loop is reached again.
#ifndef PROXYD_REAP_H
#define PROXYD_REAP_H

#include <event2/event.h>
#include <event2/event_struct.h>

struct reap {
	struct reap *next;
	void (*free)(struct reap *);
};

struct reaper {
	struct reap *first;
	struct event event;
};

void reaper_init(struct reaper *, struct event_base *);
void reaper_done(struct reaper *);
// free(reap) will be called soon, once.
void reaper_take(struct reaper *, struct reap *, void (*free)(struct reap *));

#endif
