// Short waits, of the pacer and of acknowledgements: one timerfd for all links.
// epoll counts in milliseconds, and libevent's clock stands still for several:
// it would ring late, after waking up for nothing in each of them.  Long waits
// are libevent's, which costs no system call; with precise timers it would set
// one in every turn of the loop.
#include "gossipd/quic_internal.h"

#include <sys/timerfd.h>

static void
set_timer(struct quic *q, ngtcp2_tstamp at, ngtcp2_tstamp now)
{
	// Zero would turn it off.
	ngtcp2_duration left = at > now ? at - now : 1;
	struct itimerspec spec = {
		.it_value = { .tv_sec = (time_t)(left / NGTCP2_SECONDS),
		    .tv_nsec = (long)(left % NGTCP2_SECONDS) }
	};

	q->pace_at = at;
	// Cannot fail with these arguments.
	(void)timerfd_settime(q->pace_fd, 0, &spec, NULL);
}

void
quic_pace(struct quic_link *l, ngtcp2_tstamp at, ngtcp2_tstamp now)
{
	l->due = at;
	// One that rings too early only looks.
	if (at < l->q->pace_at)
		set_timer(l->q, at, now);
}

static struct quic_link *
find_due(struct quic *q, ngtcp2_tstamp now)
{
	struct quic_link *l;

	TAILQ_FOREACH (l, &q->links, all)
		if (l->due <= now)
			return l;
	return NULL;
}

static void
on_pace(evutil_socket_t fd, short what, void *arg)
{
	struct quic *q = arg;
	ngtcp2_tstamp now = quic_now(), next = UINT64_MAX;
	struct quic_link *l;

	(void)fd;
	(void)what;
	q->pace_at = UINT64_MAX;
	// Each may end others.
	while ((l = find_due(q, now)) != NULL)
		quic_link_timeout(l);
	TAILQ_FOREACH (l, &q->links, all)
		if (l->due < next)
			next = l->due;
	if (next < q->pace_at)
		set_timer(q, next, now);
}

int
quic_pace_init(struct quic *q)
{
	q->pace_at = UINT64_MAX;
	q->pace_fd =
	    timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (q->pace_fd == -1)
		return -errno;
	// Edge-triggered: there is no news in how often it rang.
	event_assign(&q->pace, q->config.base, q->pace_fd,
	    EV_READ | EV_ET | EV_PERSIST, on_pace, q);
	return event_add(&q->pace, NULL) == -1 ? -ENOMEM : 0;
}

void
quic_pace_done(struct quic *q)
{
	if (q->pace_fd == -1)
		return;
	(void)event_del(&q->pace);
	close_fd(&q->pace_fd);
}
