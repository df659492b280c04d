// Tells who wants to know what has changed.  A subscriber that does not read
// is dropped: what is kept for it is at most one round of events.
#include "proxyd/events.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proxyd/proxyd.h"
#include "proxyd/request.h"
#include "proxyd/status.h"

static const char *const names[EVENTS_PARTS] = {
	[EVENTS_NODE] = "node",
	[EVENTS_BACKENDS] = "backends",
	[EVENTS_PEERS] = "peers",
};

static char *
text_of(const struct proxyd *d, enum events_part part)
{
	json_t *json = status_part(d, part);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	json_decref(json);
	return text;
}

// What is sent is one line, whatever it holds: JSON has no raw line ends.
static int
send_event(struct request *req, enum events_part part, const char *text)
{
	struct answer *a = &req->answer;
	char head[32];
	int n = snprintf(head, sizeof(head), "event: %s\ndata: ", names[part]);
	int r = answer_body(a, (const uint8_t *)head, (size_t)n);

	if (r == 0)
		r = answer_body(a, (const uint8_t *)text, strlen(text));
	if (r == 0)
		r = answer_body(a, (const uint8_t *)"\n\n", 2);
	return r == 0 ? answer_flush(a) : r;
}

static int
send_comment(struct request *req)
{
	static const char comment[] = ": still here\n\n";
	int r = answer_body(
	    &req->answer, (const uint8_t *)comment, sizeof(comment) - 1);

	return r == 0 ? answer_flush(&req->answer) : r;
}

// Backwards, since one that is dropped leaves the list.
static void
send_to_all(struct proxyd *d, enum events_part part, const char *text)
{
	for (size_t i = d->events.n; i > 0; i--) {
		struct request *req = d->events.at[i - 1];

		if (request_is_blocked(req) ||
		    (text != NULL ? send_event(req, part, text)
				  : send_comment(req)) < 0)
			request_finish(req, REQUEST_BROKEN);
	}
}

static void
tell_part(struct proxyd *d, enum events_part part)
{
	uint8_t hash[EVENTS_HASH_LEN];
	char *text = text_of(d, part);

	if (text == NULL)
		return;
	(void)crypto_generichash(
	    hash, sizeof(hash), (const uint8_t *)text, strlen(text), NULL, 0);
	if (memcmp(hash, d->events.sent[part], sizeof(hash)) != 0) {
		memcpy(d->events.sent[part], hash, sizeof(hash));
		send_to_all(d, part, text);
	}
	free(text);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct proxyd *d = arg;
	unsigned changed = d->events.changed;

	(void)fd;
	(void)what;
	d->events.changed = 0;
	for (enum events_part p = 0; p < EVENTS_PARTS; p++)
		if ((changed & 1u << p) != 0 && d->events.n > 0)
			tell_part(d, p);
}

static void
on_alive(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval later = { EVENTS_ALIVE_S, 0 };
	struct proxyd *d = arg;

	(void)fd;
	(void)what;
	send_to_all(d, EVENTS_PARTS, NULL);
	if (d->events.n > 0)
		(void)evtimer_add(&d->events.alive, &later);
}

void
events_init(struct proxyd *d)
{
	(void)evtimer_assign(&d->events.timer, d->base, on_timer, d);
	(void)evtimer_assign(&d->events.alive, d->base, on_alive, d);
}

void
events_done(struct proxyd *d)
{
	while (d->events.n > 0) {
		struct request *req = d->events.at[d->events.n - 1];

		events_gone(req);
		request_finish(req,
		    answer_end(&req->answer) < 0 ? REQUEST_BROKEN
						 : REQUEST_LAST);
	}
	if (event_initialized(&d->events.timer)) {
		(void)event_del(&d->events.timer);
		(void)event_del(&d->events.alive);
	}
}

void
events_changed(struct proxyd *d, enum events_part part)
{
	static const struct timeval soon = { 0, EVENTS_DELAY_MS * 1000 };

	if (d->events.n == 0 || d->is_stopping)
		return;
	d->events.changed |= 1u << part;
	if (!evtimer_pending(&d->events.timer, NULL))
		(void)evtimer_add(&d->events.timer, &soon);
}

static int
begin(struct request *req)
{
	const struct http_pair set[] = {
		{ "Content-Type", "text/event-stream" },
		{ "Cache-Control", "no-store" },
		{ "X-Accel-Buffering", "no" },
	};
	struct http_rewrite how = { .framing = HTTP_BODY_CHUNKED,
		.set = set,
		.n_set = N_ELEMENTS(set) };

	if (req->is_http10)
		how.framing = HTTP_BODY_UNTIL_CLOSE;
	req->wants_close = true;
	how.close = true;
	req->status = 200;
	return answer_head(&req->answer, 200, &how);
}

static int
send_all_parts(struct request *req)
{
	int r = 0;

	for (enum events_part p = 0; p < EVENTS_PARTS && r == 0; p++) {
		char *text = text_of(req->d, p);

		r = text == NULL ? -ENOMEM : send_event(req, p, text);
		free(text);
	}
	return r;
}

void
events_answer(struct request *req)
{
	static const struct timeval later = { EVENTS_ALIVE_S, 0 };
	struct events *e = &req->d->events;
	struct failure failure;

	if (e->n == EVENTS_SUBSCRIBERS_MAX) {
		failure_set(&failure, 503, "overloaded",
		    "%d others listen already", EVENTS_SUBSCRIBERS_MAX);
		failure.retry_after_s = RETRY_AFTER_S;
		request_fail(req, &failure);
		return;
	}
	e->at[e->n++] = req;
	if (begin(req) < 0 || send_all_parts(req) < 0) {
		request_finish(req, REQUEST_BROKEN);
		return;
	}
	if (!evtimer_pending(&e->alive, NULL))
		(void)evtimer_add(&e->alive, &later);
}

void
events_gone(struct request *req)
{
	struct events *e = &req->d->events;

	for (size_t i = 0; i < e->n; i++) {
		if (e->at[i] != req)
			continue;
		memmove(&e->at[i], &e->at[i + 1],
		    (e->n - i - 1) * sizeof(struct request *));
		e->n--;
		return;
	}
}
