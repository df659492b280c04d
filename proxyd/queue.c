// A line of requests and one event that looks at it when an attempt has ended.
// Those who ask take turns in it, however many requests each of them has.
// A request that nobody can take yet keeps its place; one behind it, for
// another model, may go first.
#include "proxyd/queue.h"

#include <string.h>

#include "proxyd/metrics.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct proxyd *d = arg;
	struct request *req, *next;
	const struct request *stuck = NULL;

	(void)fd;
	(void)what;
	for (req = TAILQ_FIRST(&d->queue); req != NULL; req = next) {
		next = TAILQ_NEXT(req, queue_entry);
		// Those behind one of the same model will not fare better.
		if (stuck != NULL && strcmp(stuck->model, req->model) == 0 &&
		    stuck->is_inbound == req->is_inbound)
			continue;
		request_route(req);
		if (!req->is_ended && req->is_queued)
			stuck = req;
	}
}

void
queue_init(struct proxyd *d)
{
	TAILQ_INIT(&d->parties);
	TAILQ_INIT(&d->queue);
	(void)evtimer_assign(&d->queue_event, d->base, on_wake, d);
}

void
queue_done(struct proxyd *d)
{
	if (event_initialized(&d->queue_event))
		(void)event_del(&d->queue_event);
}

static void
give_up(struct request *req, const char *limit, const char *message)
{
	struct failure failure;

	metrics_count_limited(req->d, limit);
	failure_set(&failure, 503, "overloaded", "%s", message);
	failure.retry_after_s = RETRY_AFTER_S;
	request_fail(req, &failure);
}

// In a full queue whose last one is more than its owner's share.
static int
make_room(struct proxyd *d, unsigned turn)
{
	struct request *last;

	while (d->n_queued >= d->limits.queue_requests) {
		last = TAILQ_LAST(&d->queue, request_queue);
		if (last == NULL || last->turn <= turn)
			return -ENOBUFS;
		give_up(last, "queue-share",
		    "everything that serves the model is busy, and others "
		    "wait that have asked for less");
	}
	return 0;
}

// The first of each party, then the second of each: who asks for more at a
// time waits longer, and nobody waits behind all that another one asked for.
static void
insert(struct proxyd *d, struct request *req)
{
	struct request *before = TAILQ_LAST(&d->queue, request_queue);

	while (before != NULL && before->turn > req->turn)
		before = TAILQ_PREV(before, request_queue, queue_entry);
	if (before == NULL)
		TAILQ_INSERT_HEAD(&d->queue, req, queue_entry);
	else
		TAILQ_INSERT_AFTER(&d->queue, before, req, queue_entry);
}

int
queue_join(struct request *req)
{
	struct proxyd *d = req->d;

	if (req->is_queued)
		return 0;
	party_enter_known(req);
	req->turn = req->party == NULL ? 0 : req->party->queued;
	if (make_room(d, req->turn) < 0)
		return -ENOBUFS;
	insert(d, req);
	req->is_queued = true;
	req->queued_ms = clock_mono_ms();
	d->n_queued++;
	d->counters.queued++;
	if (req->party != NULL)
		req->party->queued++;
	return 0;
}

void
queue_leave(struct request *req)
{
	struct request *other = req;

	if (!req->is_queued)
		return;
	while ((other = TAILQ_NEXT(other, queue_entry)) != NULL)
		if (other->party == req->party && other->turn > 0)
			other->turn--;
	TAILQ_REMOVE(&req->d->queue, req, queue_entry);
	req->is_queued = false;
	req->d->n_queued--;
	if (req->party != NULL)
		req->party->queued--;
}

bool
queue_has_like(const struct request *req)
{
	const struct request *other;

	TAILQ_FOREACH (other, &req->d->queue, queue_entry)
		if (other->is_inbound == req->is_inbound &&
		    strcmp(other->model, req->model) == 0)
			return true;
	return false;
}

void
queue_wake(struct proxyd *d)
{
	if (d->n_queued > 0)
		event_active(&d->queue_event, EV_TIMEOUT, 1);
}

void
queue_expire(struct request *req, uint64_t now_ms)
{
	if (req->is_queued &&
	    now_ms - req->queued_ms >= req->d->limits.queue_seconds * 1000)
		give_up(req, "queue-seconds",
		    "everything that serves the model was busy for too long");
}
