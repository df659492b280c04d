// What the two kinds of attempts share.  An attempt ends by attempt_stop(),
// from wherever that is called; its memory lives until the loop is reached, so
// its callbacks look at `req` after everything that may have ended it.
#include "proxyd/attempt.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "proxyd/load.h"
#include "proxyd/queue.h"
#include "proxyd/silence.h"
#include "proxyd/translation.h"

// Of the peer that asks, at a backend: for load_tell.c.
static unsigned *
running_of_party(const struct attempt *a)
{
	if (a->to.source != SOURCE_LOCAL || !a->req->is_inbound ||
	    a->req->party == NULL)
		return NULL;
	return &a->req->party->running[a->to.backend - a->d->backends.at];
}

static void
enter(struct attempt *a)
{
	struct breaker *breaker = candidate_breaker(a->d, &a->to);
	unsigned *n = candidate_in_flight(a->d, &a->to);

	if (n != NULL)
		++*n;
	if (a->req->is_inbound)
		party_enter_known(a->req);
	if ((n = running_of_party(a)) != NULL)
		++*n;
	if (breaker != NULL)
		a->is_trial = breaker_begin(breaker);
}

static void
leave(struct attempt *a)
{
	struct breaker *breaker = candidate_breaker(a->d, &a->to);
	unsigned *n = candidate_in_flight(a->d, &a->to);

	// A peer may have been forgotten and told of again in between.
	if (n != NULL && *n > 0)
		--*n;
	if ((n = running_of_party(a)) != NULL && *n > 0)
		--*n;
	if (breaker != NULL && a->is_trial)
		breaker_left(breaker);
	queue_wake(a->d);
}

static void
log_breaker(const struct attempt *a, bool is_back, unsigned wait_ms)
{
	char name[2 * ENDPOINT_ID_SHORT_LEN + 1];

	candidate_name(&a->to, name);
	if (is_back)
		LOG(LOG_INFO, "source-back", F("source", (const char *)name));
	else
		LOG(LOG_WARNING, "source-set-aside",
		    F("source", (const char *)name), F("ms", wait_ms));
}

// Only what says something about the source counts.
static void
note_failure(struct attempt *a, int status, const char *code)
{
	struct breaker *breaker = candidate_breaker(a->d, &a->to);

	if (status < 502 || breaker == NULL || a->is_noted ||
	    strcmp(code, "cannot_seal") == 0)
		return;
	if (breaker_failed(
		breaker, a->is_trial, clock_mono_ms(), randombytes_random()))
		log_breaker(a, false, breaker->wait_ms);
	a->is_trial = false;
}

void
attempt_is_unwell(struct attempt *a)
{
	note_failure(a, 502, "");
	a->is_noted = true;
}

void
attempt_answered(struct attempt *a)
{
	struct breaker *breaker = candidate_breaker(a->d, &a->to);

	a->is_trial = false;
	if (breaker != NULL && breaker_answered(breaker))
		log_breaker(a, true, 0);
}

void
attempt_succeeded(struct attempt *a)
{
	struct breaker *breaker = candidate_breaker(a->d, &a->to);

	if (breaker != NULL && !a->is_noted)
		breaker_succeeded(breaker);
}

int
attempt_start(struct request *req, const struct candidate *to,
    struct attempt **ret, struct failure *ret_failure)
{
	struct attempt *a = calloc(1, sizeof(*a));
	int r;

	if (a == NULL) {
		failure_set(ret_failure, 503, "overloaded", "out of memory");
		return -ENOMEM;
	}
	a->req = req;
	a->d = req->d;
	a->to = *to;
	a->tunnel.fd = -1;
	upstream_init(&a->up);
	a->is_translated = translation_is_needed(req, to);
	if (a->is_translated &&
	    (r = translation_prepare(req, ret_failure)) < 0) {
		free(a);
		return r;
	}
	req->n_attempts++;
	enter(a);
	// Visible to whoever is told of a failure in the middle of this.
	*ret = a;
	r = to->source == SOURCE_LOCAL ? attempt_local_start(a, ret_failure)
				       : attempt_tunnel_start(a, ret_failure);
	if (r < 0) {
		*ret = NULL;
		attempt_stop(a);
	}
	return r;
}

static void
attempt_free(struct reap *reap)
{
	struct attempt *a =
	    (struct attempt *)((char *)reap - offsetof(struct attempt, reap));

	sodium_memzero(a, sizeof(*a));
	free(a);
}

void
attempt_stop(struct attempt *a)
{
	if (a->req == NULL)
		return;
	if (a->to.source == SOURCE_LOCAL)
		attempt_local_stop(a);
	else
		attempt_tunnel_stop(a);
	upstream_done(&a->up);
	leave(a);
	a->req = NULL;
	reaper_take(&a->d->reaper, &a->reap, attempt_free);
}

void
attempt_fail(
    struct attempt *a, int status, const char *code, const char *format, ...)
{
	struct failure failure;
	va_list args;

	if (a->req == NULL)
		return;
	failure_set(&failure, status, code, "%s", "");
	va_start(args, format);
	(void)vsnprintf(failure.message, sizeof(failure.message), format, args);
	va_end(args);
	if (status == 503)
		failure.retry_after_s = RETRY_AFTER_S;
	note_failure(a, status, code);
	request_attempt_failed(a->req, &failure);
}

struct buf *
attempt_buf(const struct attempt *a)
{
	return a->is_translated ? &a->req->translation->chat : &a->req->body;
}

size_t
attempt_body_at(const struct attempt *a)
{
	return a->is_translated ? REQUEST_HEAD_ROOM : a->req->body_at;
}

struct slice
attempt_body(const struct attempt *a)
{
	const struct buf *b = attempt_buf(a);
	size_t at = attempt_body_at(a);

	return (struct slice){ (const char *)b->base + at,
		b->base == NULL ? 0 : b->end - at };
}

int
attempt_head(
    struct attempt *a, const char *prefix, const char *host, bool keep_alive)
{
	const struct request *req = a->req;
	enum endpoint endpoint =
	    a->is_translated ? ENDPOINT_CHAT : req->endpoint;
	const char *key =
	    a->to.source == SOURCE_LOCAL ? a->to.backend->key : NULL;
	char alive[SILENCE_FIELD_MAX];
	int n;

	silence_ask(a, alive);

	n = snprintf((char *)a->head, sizeof(a->head),
	    "POST %s%s HTTP/1.1\r\n"
	    "Host: %s\r\n"
	    "Content-Type: %s\r\n"
	    "Content-Length: %zu\r\n"
	    "Accept: */*\r\n"
	    "X-Request-Id: %s\r\n"
	    "%s%s%s%s%s\r\n",
	    prefix, endpoint_path(endpoint), host,
	    req->form_type[0] != '\0' ? req->form_type : "application/json",
	    attempt_body(a).len, req->id,
	    key == NULL ? "" : "Authorization: Bearer ", key == NULL ? "" : key,
	    key == NULL ? "" : "\r\n", alive,
	    keep_alive ? "" : "Connection: close\r\n");
	if (n < 0 || (size_t)n >= sizeof(a->head))
		return -EMSGSIZE;
	a->head_len = (size_t)n;
	return 0;
}

static int
on_head(void *arg, const struct http_response *response)
{
	struct attempt *a = arg;

	silence_take_head(a, response);
	load_take_head(a, response);
	return request_answer_head(a->req, response);
}

static int
on_body(void *arg, const uint8_t *bytes, size_t n)
{
	struct attempt *a = arg;

	a->has_news = true;
	return request_answer_body(a->req, bytes, n);
}

int
attempt_feed(
    struct attempt *a, const uint8_t *bytes, size_t n, size_t *ret_used)
{
	static const struct upstream_ops ops = { on_head, on_body };

	return upstream_feed(&a->up, bytes, n, &ops, a, ret_used);
}

struct stream *
attempt_stream(struct attempt *a)
{
	if (a->to.source == SOURCE_LOCAL)
		return a->conn == NULL ? NULL : &a->conn->stream;
	return stream_is_open(&a->tunnel) ? &a->tunnel : NULL;
}

void
attempt_flush(struct attempt *a, bool is_held)
{
	struct stream *s;

	request_answer_flush(a->req, is_held);
	if (a->req == NULL || !request_is_blocked(a->req))
		return;
	if ((s = attempt_stream(a)) == NULL)
		return;
	a->is_paused = true;
	stream_read_stop(s);
}

void
attempt_resume(struct attempt *a)
{
	struct stream *s = attempt_stream(a);

	if (!a->is_paused || s == NULL)
		return;
	a->is_paused = false;
	stream_read_start(s, a->d->timeouts.answer);
}
