// A line of requests and one event that looks at it when an attempt has ended.
// A request that nobody can take yet keeps its place; one behind it, for
// another model, may go first.
#include "proxyd/queue.h"

#include <string.h>

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
	TAILQ_INIT(&d->queue);
	(void)evtimer_assign(&d->queue_event, d->base, on_wake, d);
}

void
queue_done(struct proxyd *d)
{
	if (event_initialized(&d->queue_event))
		(void)event_del(&d->queue_event);
}

int
queue_join(struct request *req)
{
	struct proxyd *d = req->d;

	if (req->is_queued)
		return 0;
	if (d->n_queued >= d->limits.queue_requests)
		return -ENOBUFS;
	TAILQ_INSERT_TAIL(&d->queue, req, queue_entry);
	req->is_queued = true;
	req->queued_ms = clock_mono_ms();
	d->n_queued++;
	d->counters.queued++;
	return 0;
}

void
queue_leave(struct request *req)
{
	if (!req->is_queued)
		return;
	TAILQ_REMOVE(&req->d->queue, req, queue_entry);
	req->is_queued = false;
	req->d->n_queued--;
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
	struct failure failure;

	if (!req->is_queued ||
	    now_ms - req->queued_ms < req->d->limits.queue_seconds * 1000)
		return;
	failure_set(&failure, 503, "overloaded",
	    "everything that serves the model was busy for too long");
	failure.retry_after_s = RETRY_AFTER_S;
	request_fail(req, &failure);
}
