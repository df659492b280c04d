// Frees what ended, from the loop and from nowhere else, so that no function
// has to fear that its argument is gone when a callback comes back.
#include "proxyd/reap.h"

static void
reap_all(struct reaper *reaper)
{
	while (reaper->first != NULL) {
		struct reap *one = reaper->first;

		reaper->first = one->next;
		one->free(one);
	}
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	reap_all(arg);
}

void
reaper_init(struct reaper *reaper, struct event_base *base)
{
	reaper->first = NULL;
	(void)evtimer_assign(&reaper->event, base, on_turn, reaper);
}

void
reaper_done(struct reaper *reaper)
{
	reap_all(reaper);
	(void)event_del(&reaper->event);
}

void
reaper_take(
    struct reaper *reaper, struct reap *one, void (*free_one)(struct reap *))
{
	if (reaper->first == NULL)
		event_active(&reaper->event, EV_TIMEOUT, 1);
	one->free = free_one;
	one->next = reaper->first;
	reaper->first = one;
}
