// Looks at all requests a few times in each interval.  What is sent here is
// ours alone: it must never look like a part of an answer, end one, or go
// where a comment would be read as data.
#include "proxyd/keep_alive.h"

#include "proxyd/proxyd.h"
#include "proxyd/queue.h"
#include "proxyd/request.h"
#include "proxyd/silence.h"

static uint64_t
interval_ms(const struct proxyd *d)
{
	return d->limits.keep_alive_seconds * 1000;
}

// Of a host towards the opener, whatever is asked for and at any point of it.
static void
show_life(struct request *req, uint64_t now)
{
	uint64_t bytes = req->answer.body_bytes;

	if (bytes != req->alive_bytes || req->alive_since_ms == 0) {
		req->alive_bytes = bytes;
		req->alive_since_ms = now;
	} else if (now - req->alive_since_ms >= req->alive_s * UINT64_C(1000)) {
		req->alive_since_ms = now;
		request_show_life(req);
	}
}

static void
look_at(struct request *req, uint64_t now)
{
	uint64_t interval = interval_ms(req->d);
	uint64_t bytes = req->answer.body_bytes;

	if (req->attempt != NULL)
		silence_look(req->attempt, now);
	silence_note_running(req);
	if (req->is_queued && request_is_given_up(req))
		return;
	if (!req->is_ended && req->alive_s != 0)
		show_life(req, now);
	if (req->is_ended)
		return;
	if (bytes != req->seen_bytes || req->quiet_since_ms == 0) {
		req->seen_bytes = bytes;
		req->quiet_since_ms = now;
		return;
	}
	queue_expire(req, now);
	if (req->is_ended || now - req->quiet_since_ms < interval)
		return;
	if (!req->answer.has_head &&
	    now - req->started_ms < KEEP_ALIVE_EARLY * interval)
		return;
	req->quiet_since_ms = now;
	(void)request_keep_alive(req);
	req->seen_bytes = req->answer.body_bytes;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct proxyd *d = arg;
	struct request *req, *next;
	uint64_t now = clock_mono_ms();

	(void)fd;
	(void)what;
	for (req = TAILQ_FIRST(&d->requests); req != NULL; req = next) {
		next = TAILQ_NEXT(req, entry);
		look_at(req, now);
	}
	if (!TAILQ_EMPTY(&d->requests))
		keep_alive_wake(d);
}

void
keep_alive_init(struct proxyd *d)
{
	TAILQ_INIT(&d->requests);
	(void)evtimer_assign(&d->keep_alive, d->base, on_timer, d);
}

void
keep_alive_wake(struct proxyd *d)
{
	uint64_t usual = interval_ms(d) / KEEP_ALIVE_LOOKS;
	uint64_t ms = usual < SILENCE_LOOK_MS ? usual : SILENCE_LOOK_MS;
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (!evtimer_pending(&d->keep_alive, NULL))
		(void)evtimer_add(&d->keep_alive, &tv);
}

void
keep_alive_done(struct proxyd *d)
{
	if (event_initialized(&d->keep_alive))
		(void)event_del(&d->keep_alive);
}
