// One request's life.  Its body was written by a client or a stranger and is
// only checked and passed on; the answer was written by a backend or a host
// and is rebuilt.  A request must never be answered twice, nor tried again
// once a byte of an answer has left.
#include "proxyd/request.h"

#include <sodium.h>
#include <string.h>

#include "common/hex.h"
#include "common/log.h"
#include "proxyd/access.h"
#include "proxyd/attempt.h"
#include "proxyd/evidence_copy.h"
#include "proxyd/keep_alive.h"
#include "proxyd/metrics.h"
#include "proxyd/queue.h"
#include "proxyd/silence.h"
#include "proxyd/translation.h"
#include "proxyd/usage.h"

static void
make_id(char ret[static REQUEST_ID_MAX + 1])
{
	uint8_t random[12];

	randombytes_buf(random, sizeof(random));
	memcpy(ret, "req_", 4);
	hex_encode(ret + 4, random, sizeof(random));
}

int
request_new(struct request **ret, struct proxyd *d,
    const struct request_front *front, enum endpoint endpoint)
{
	struct request *req = calloc(1, sizeof(*req));

	if (req == NULL)
		return -ENOMEM;
	req->d = d;
	req->front = front->front;
	req->ended = front->ended;
	req->endpoint = endpoint;
	req->started_ms = clock_mono_ms();
	make_id(req->id);
	answer_init(&req->answer, front->stream, &d->gather);
	buf_init(&req->body, REQUEST_HEAD_ROOM + BODY_MAX);
	buf_init(&req->error_body, ERROR_BODY_MAX);
	d->n_requests++;
	*ret = req;
	return 0;
}

void
request_set_id(struct request *req, const struct http_field *field)
{
	static const char extra[] = "-_.:";

	if (field == NULL || field->value.len == 0 ||
	    field->value.len > REQUEST_ID_MAX)
		return;
	for (size_t i = 0; i < field->value.len; i++) {
		char c = field->value.at[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'z') &&
		    (c < 'A' || c > 'Z') && memchr(extra, c, 4) == NULL)
			return;
	}
	memcpy(req->id, field->value.at, field->value.len);
	req->id[field->value.len] = '\0';
}

// ---- the end

static void
request_free(struct reap *reap)
{
	struct request *req =
	    (struct request *)((char *)reap - offsetof(struct request, reap));

	sodium_memzero(req, sizeof(*req));
	free(req);
}

void
request_stop_attempt(struct request *req)
{
	struct attempt *a = req->attempt;

	req->attempt = NULL;
	if (a == NULL)
		return;
	if (a->sent > 0) {
		req->has_asked = true;
		req->asked = a->to;
		req->asked_level = a->level;
	}
	attempt_stop(a);
}

static void
free_usage(struct request *req)
{
	if (req->usage != NULL)
		sodium_memzero(req->usage, sizeof(*req->usage));
	free(req->usage);
	req->usage = NULL;
}

static void
release(struct request *req)
{
	struct proxyd *d = req->d;

	req->is_ended = true;
	if (req->endpoint == ENDPOINT_EVENTS)
		events_gone(req);
	if (req->is_listed)
		TAILQ_REMOVE(&d->requests, req, entry);
	queue_leave(req);
	request_stop_attempt(req);
	evidence_copy_stop(req->copy);
	req->copy = NULL;
	answer_drop(&req->answer);
	answer_done(&req->answer);
	translation_free(req);
	buf_release(&req->body);
	buf_release(&req->error_body);
	free(req->scan);
	req->scan = NULL;
	free_usage(req);
	proxyd_unhold(d, &req->held);
	if (req->is_counted)
		access_key_end(req->key);
	party_leave(req);
	access_key_put(req->key);
	d->n_requests--;
	reaper_take(&d->reaper, &req->reap, request_free);
}

void
request_finish(struct request *req, enum request_end how)
{
	struct proxyd *d = req->d;
	request_ended_fn *ended = req->ended;
	void *front = req->front;

	if (req->is_ended)
		return;
	if (how == REQUEST_COMPLETE && req->wants_close)
		how = REQUEST_LAST;
	release(req);
	ended(front, how);
	proxyd_request_ended(d);
}

void
request_abort(struct request *req)
{
	struct proxyd *d = req->d;

	if (req->is_ended)
		return;
	// Who listens to events leaves one day.
	if (req->endpoint != ENDPOINT_EVENTS) {
		d->counters.aborted++;
		request_log_end(req, "aborted");
	}
	release(req);
	proxyd_request_ended(d);
}

void
request_start(struct request *req)
{
	struct failure failure;

	if (request_body_end(req) < 0)
		return;
	if (req->key != NULL &&
	    !api_key_has_model(&req->key->key, req->model)) {
		failure_set(&failure, 403, "model_not_allowed",
		    "this API key may not ask for this model");
		request_fail(req, &failure);
		return;
	}
	if (!req->is_inbound)
		req->d->counters.requests++;
	TAILQ_INSERT_TAIL(&req->d->requests, req, entry);
	req->is_listed = true;
	keep_alive_wake(req->d);
	request_route(req);
}

// ---- attempts

static void
wait_for_turn(struct request *req)
{
	struct failure failure;

	if (queue_join(req) == 0) {
		if (!req->candidates.is_full)
			queue_wake(req->d);
		return;
	}
	metrics_count_limited(req->d, "queue-requests");
	failure_set(&failure, 503, "overloaded",
	    "everything that serves the model is busy, and too many wait");
	failure.retry_after_s = RETRY_AFTER_S;
	request_fail(req, &failure);
}

void
request_route(struct request *req)
{
	struct candidates_ask ask = { .model = req->model,
		.local_only = req->is_inbound,
		.explain = req->explain,
		.has_session = req->endpoint != ENDPOINT_EMBEDDINGS,
		.body = request_body_slice(req) };
	struct failure failure;

	if (req->form_type[0] != '\0')
		ask.body = (struct slice){ NULL, 0 };

	candidates_find(req->d, &ask, &req->candidates, &failure);
	if (req->candidates.is_full ||
	    (!req->is_queued && req->candidates.n > 0 && queue_has_like(req))) {
		wait_for_turn(req);
		return;
	}
	queue_leave(req);
	if (req->candidates.n == 0)
		request_fail(req, &failure);
	else
		request_next(req);
}

bool
request_is_given_up(struct request *req)
{
	struct failure failure;

	if (req->is_ended || !silence_is_given_up(req))
		return false;
	if (!req->was_held_up) {
		req->d->counters.aborted++;
		request_log_end(req, "aborted");
		request_finish(req, REQUEST_BROKEN);
		return true;
	}
	// Perhaps it still listens.
	failure_set(&failure, 503, "host_unavailable",
	    "the host was held up, and has not begun");
	failure.retry_after_s = RETRY_AFTER_S;
	request_fail(req, &failure);
	return true;
}

void
request_next(struct request *req)
{
	struct candidates *c = &req->candidates;
	struct failure last;

	// What is begun cannot be taken back, and another host may have it.
	if (request_is_given_up(req))
		return;
	while (c->next < c->n) {
		const struct candidate *to = &c->at[c->next++];

		if (attempt_start(req, to, &req->attempt, &req->failure) == 0)
			return;
		request_log_end(req, "attempt-failed");
	}
	last = req->failure;
	request_fail(req, &last);
}

static void
reset_answer(struct request *req)
{
	answer_drop(&req->answer);
	if (!req->has_early_head) {
		buf_clear(&req->answer.head);
		buf_release(&req->answer.held);
		req->answer.has_head = false;
		req->answer.body_bytes = 0;
	}
	translation_reset(req);
	req->has_source_head = false;
	req->is_collecting_error = false;
	req->error_overflow = false;
	buf_release(&req->error_body);
}

// Something of a source's answer has left: no other try.
static bool
is_committed(const struct request *req)
{
	return req->has_early_head ? req->has_source_head
				   : req->answer.has_sent;
}

void
request_stop(struct request *req)
{
	struct failure failure;

	failure_set(&failure, 503, "node_stopping",
	    "this node is being stopped; ask again");
	if (!is_committed(req)) {
		request_fail(req, &failure);
		return;
	}
	request_stop_attempt(req);
	req->d->counters.failed++;
	request_break_off(req, &failure);
}

void
request_attempt_failed(struct request *req, const struct failure *failure)
{
	req->failure = *failure;
	request_stop_attempt(req);
	if (is_committed(req)) {
		req->d->counters.failed++;
		request_break_off(req, &req->failure);
		return;
	}
	reset_answer(req);
	if (req->candidates.next < req->candidates.n) {
		req->d->counters.retries++;
		request_log_end(req, "attempt-failed");
	}
	request_next(req);
}
