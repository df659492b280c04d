// Tells a hanging host from a busy one.  A sign of life counts when it opens
// under the key of the request, so that nobody on the way can make one up; what
// it proves is only that the host's proxyd works on it.  A lying host gains
// nothing by it that --answer-seconds does not end.
#include "proxyd/silence.h"

#include <stdio.h>

#include "proxyd/attempt.h"

// What a slow line takes at least, in bytes a millisecond: the request is
// written when gossipd has it, not when the host has it.
enum { SLOW_BYTES_PER_MS = 32, HELD_UP_S_MIN = 2, HELD_UP_S_MAX = 20 };

unsigned
silence_wanted(const struct http_fields *fields)
{
	const struct http_field *f = NULL;
	unsigned s = 0;

	if (!http_fields_find_once(fields, SILENCE_FIELD, &f) || f == NULL ||
	    f->value.len == 0 || f->value.len > 4)
		return 0;
	for (size_t i = 0; i < f->value.len; i++) {
		char c = f->value.at[i];

		if (c < '0' || c > '9')
			return 0;
		s = s * 10 + (unsigned)(c - '0');
	}
	return s > SILENCE_WANTED_MAX ? SILENCE_WANTED_MAX : s;
}

// The opener gives up after SILENCE_SIGNS intervals without a sign, and the
// last one may have been sent an interval before we were held up.  Without a
// word its connection ends after 30 s, whatever it asked for.
static uint64_t
held_up_ms(const struct request *req)
{
	unsigned s = (SILENCE_SIGNS - 1) * req->alive_s;

	if (req->alive_s == 0 || s > HELD_UP_S_MAX)
		s = HELD_UP_S_MAX;
	return (s > HELD_UP_S_MIN ? s - 1 : HELD_UP_S_MIN) * UINT64_C(1000);
}

void
silence_note_running(struct request *req)
{
	uint64_t now = clock_boot_ms();

	if (!req->is_inbound)
		return;
	// gossipd's word for it: may lie ahead.
	if (now > req->ran_ms && now - req->ran_ms >= held_up_ms(req))
		req->was_held_up = true;
	req->ran_ms = now;
}

bool
silence_is_given_up(struct request *req)
{
	if (!req->is_inbound)
		return false;
	silence_note_running(req);
	return req->was_held_up || stream_has_hangup(req->answer.stream);
}

static struct peer *
host_of(const struct attempt *a)
{
	return a->to.source == SOURCE_SEALED
	    ? peers_find(&a->d->peers, a->to.peer_id)
	    : NULL;
}

void
silence_ask(const struct attempt *a, char ret[static SILENCE_FIELD_MAX])
{
	const struct peer *host = host_of(a);
	uint64_t s = a->d->limits.host_silence_seconds / SILENCE_SIGNS;

	ret[0] = '\0';
	if (host != NULL && host->dialect == IPC__DIALECT__DIALECT_MESHLLM)
		(void)snprintf(ret, SILENCE_FIELD_MAX, SILENCE_FIELD ": %u\r\n",
		    (unsigned)(s > SILENCE_WANTED_MAX ? SILENCE_WANTED_MAX
						      : s));
}

void
silence_promised(struct attempt *a)
{
	struct peer *host = host_of(a);

	if (host != NULL)
		host->shows_life = true;
}

void
silence_take_head(struct attempt *a, const struct http_response *response)
{
	a->has_news = true;
	if (http_fields_find(&response->fields, SILENCE_FIELD) != NULL)
		silence_promised(a);
}

static uint64_t
allowed_ms(const struct attempt *a)
{
	uint64_t ms = a->d->limits.host_silence_seconds * 1000;

	return a->in.has_header
	    ? ms
	    : ms + a->req->request_bytes / SLOW_BYTES_PER_MS;
}

static bool
is_silent(struct attempt *a, uint64_t now_ms)
{
	if (a->is_heard || a->silent_since_ms == 0) {
		a->is_heard = false;
		a->silent_since_ms = now_ms;
	}
	return now_ms - a->silent_since_ms >= allowed_ms(a);
}

// Signs of life keep the timeout of the tunnel away, and are no answer.
static bool
has_no_news(struct attempt *a, uint64_t now_ms)
{
	if (a->has_news || a->no_news_since_ms == 0) {
		a->has_news = false;
		a->no_news_since_ms = now_ms;
	}
	return now_ms - a->no_news_since_ms >=
	    a->d->config->answer_seconds * 1000;
}

void
silence_look(struct attempt *a, uint64_t now_ms)
{
	const struct peer *host = host_of(a);

	if (host == NULL || !host->shows_life || !a->is_written ||
	    a->is_paused) {
		a->silent_since_ms = a->no_news_since_ms = 0;
		return;
	}
	if (is_silent(a, now_ms))
		attempt_fail(a, 504, "host_timeout",
		    "the host has not shown any sign of life in time");
	else if (has_no_news(a, now_ms))
		attempt_fail(
		    a, 504, "host_timeout", "the host did not answer in time");
}
