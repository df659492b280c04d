// One request's life.  Its body was written by a client or a stranger and is
// only checked and passed on; the answer was written by a backend or a host
// and is rebuilt.  A request must never be answered twice, nor tried again
// once a byte of an answer has left.
#include "proxyd/request.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/hex.h"
#include "common/log.h"
#include "proxyd/access.h"
#include "proxyd/attempt.h"
#include "proxyd/evidence_copy.h"
#include "proxyd/keep_alive.h"
#include "proxyd/usage.h"
#include "proxyd/queue.h"
#include "proxyd/translation.h"

static void
make_id(char ret[static REQUEST_ID_MAX + 1])
{
	uint8_t random[12];

	randombytes_buf(random, sizeof(random));
	memcpy(ret, "req_", 4);
	hex_encode(ret + 4, random, sizeof(random));
}

static int
make_room_for_head(struct request *req)
{
	uint8_t *at;
	int r = buf_reserve(&req->body, REQUEST_HEAD_ROOM, &at);

	if (r < 0)
		return r;
	memset(at, 0, REQUEST_HEAD_ROOM);
	buf_commit(&req->body, REQUEST_HEAD_ROOM);
	req->body_at = REQUEST_HEAD_ROOM;
	return 0;
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

void
failure_set(struct failure *failure, int status, const char *code,
    const char *format, ...)
{
	va_list args;

	memset(failure, 0, sizeof(*failure));
	failure->status = status;
	failure->code = code;
	va_start(args, format);
	(void)vsnprintf(
	    failure->message, sizeof(failure->message), format, args);
	va_end(args);
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

static void
stop_attempt(struct request *req)
{
	struct attempt *a = req->attempt;

	req->attempt = NULL;
	if (a != NULL)
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
	stop_attempt(req);
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

// ---- answers of our own

static const char json_type[] = "application/json";

static int
own_head(struct request *req, int status, const char *type, size_t len,
    const struct failure *failure)
{
	char seconds[16];
	struct http_pair set[7];
	struct http_rewrite how = { .framing = HTTP_BODY_LENGTH,
		.length = len,
		.close = req->wants_close,
		.set = set };
	size_t n = 0;

	set[n++] = (struct http_pair){ "Content-Type", type };
	if (!req->is_inbound)
		set[n++] = (struct http_pair){ "X-Request-Id", req->id };
	if (req->candidates.route[0] != '\0')
		set[n++] = (struct http_pair){ "X-Meshllm-Route",
			req->candidates.route };
	if (failure != NULL && failure->retry_after_s != 0) {
		(void)snprintf(
		    seconds, sizeof(seconds), "%u", failure->retry_after_s);
		set[n++] = (struct http_pair){ "Retry-After", seconds };
	}
	if (failure != NULL && failure->is_final)
		set[n++] = (struct http_pair){ "X-Should-Retry", "false" };
	if (failure != NULL && failure->allow != NULL)
		set[n++] = (struct http_pair){ "Allow", failure->allow };
	if (failure != NULL && failure->authenticate != NULL)
		set[n++] = (struct http_pair){ "WWW-Authenticate",
			failure->authenticate };
	how.n_set = n;
	req->status = status;
	return answer_head(&req->answer, status, &how);
}

static void
send_whole(struct request *req, int status, const char *type, struct slice body,
    const struct failure *failure)
{
	int r;

	stop_attempt(req);
	r = own_head(req, status, type, body.len, failure);
	if (r == 0)
		r = answer_body(
		    &req->answer, (const uint8_t *)body.at, body.len);
	if (r == 0)
		r = answer_end(&req->answer);
	request_log_end(req, failure == NULL ? "answered" : failure->code);
	request_finish(req, r < 0 ? REQUEST_BROKEN : REQUEST_COMPLETE);
}

void
request_reply(struct request *req, int status, const char *json, size_t len)
{
	send_whole(req, status, json_type, (struct slice){ json, len }, NULL);
}

void
request_reply_as(
    struct request *req, const char *type, const char *text, size_t len)
{
	send_whole(req, 200, type, (struct slice){ text, len }, NULL);
}

void
request_broke_off(struct request *req, const struct failure *failure)
{
	req->failure = *failure;
	request_log_end(req, failure->code);
	request_finish(req, REQUEST_BROKEN);
}

// Part of an answer has left: the client is told, and sees no end.
static void
break_off(struct request *req, const struct failure *failure)
{
	answer_drop(&req->answer);
	relay_break(req, failure);
	request_broke_off(req, failure);
}

void
request_reply_head(
    struct request *req, int status, const struct http_pair *set, size_t n)
{
	struct http_rewrite how = { .framing = HTTP_BODY_NONE,
		.close = req->wants_close,
		.set = set,
		.n_set = n };
	int r = answer_head(&req->answer, status, &how);

	req->status = status;
	if (r == 0)
		r = answer_end(&req->answer);
	request_finish(req, r < 0 ? REQUEST_BROKEN : REQUEST_COMPLETE);
}

void
request_fail(struct request *req, const struct failure *failure)
{
	char body[OPENAI_ERROR_MAX];
	struct openai_error error = { .message = failure->message,
		.code = failure->code,
		.status = failure->status,
		.is_typed = endpoint_is_anthropic(req->endpoint) };
	size_t len = openai_error_body(&error, body);

	req->failure = *failure;
	if (req->n_attempts == 0)
		req->d->counters.refused++;
	else
		req->d->counters.failed++;
	if (req->has_early_head)
		break_off(req, &req->failure);
	else
		send_whole(req, failure->status, json_type,
		    (struct slice){ body, len }, &req->failure);
}

// ---- the body

static int
refuse_body(
    struct request *req, int status, const char *code, const char *message)
{
	struct failure failure;

	failure_set(&failure, status, code, "%s", message);
	request_fail(req, &failure);
	return -ECANCELED;
}

// What is still on its way is not to be read as the next request.
static int
refuse_rest(
    struct request *req, int status, const char *code, const char *message)
{
	req->wants_close = true;
	return refuse_body(req, status, code, message);
}

int
request_expect_form(struct request *req, struct slice boundary)
{
	if ((req->scan = malloc(sizeof(*req->scan))) == NULL)
		return -ENOMEM;
	req->scan->is_form = true;
	multipart_init(&req->scan->form, boundary);
	(void)snprintf(req->form_type, sizeof(req->form_type),
	    "multipart/form-data; boundary=%s%.*s%s",
	    http_is_token(boundary) ? "" : "\"", (int)boundary.len, boundary.at,
	    http_is_token(boundary) ? "" : "\"");
	return 0;
}

static int
begin_scan(struct request *req)
{
	if (req->scan != NULL)
		return 0;
	if ((req->scan = malloc(sizeof(*req->scan))) == NULL)
		return -ENOMEM;
	req->scan->is_form = false;
	json_scan_init(&req->scan->json);
	return 0;
}

static int
begin_body(struct request *req)
{
	int r = begin_scan(req);

	return r < 0 || req->body.base != NULL ? r : make_room_for_head(req);
}

static int
refuse_scan(struct request *req)
{
	const char *why = body_scan_why(req->scan);

	if (req->scan->is_form)
		return refuse_rest(req, 400, "invalid_form", why);
	return refuse_rest(req, 400, "invalid_json", why);
}

static int
feed_scan(struct request *req, const uint8_t *bytes, size_t n)
{
	return body_scan_feed(req->scan, bytes, n) < 0 ? refuse_scan(req) : 0;
}

// r: whether there is memory.
static int
hold_body(struct request *req, int r)
{
	if (r == 0)
		r = proxyd_hold(req->d, &req->held, req->body.size);
	return r == 0 ? 0
		      : refuse_rest(req, 503, "overloaded",
			    "too much is being worked on, try again later");
}

int
request_body_room(struct request *req, size_t n, uint8_t **ret)
{
	int r = begin_body(req);

	if (r == 0)
		r = buf_reserve(&req->body, n, ret);
	if (r == -EMSGSIZE)
		return refuse_rest(req, 413, "request_too_large",
		    "the body is larger than 70 MiB");
	return hold_body(req, r);
}

int
request_body_came(struct request *req, size_t n)
{
	buf_commit(&req->body, n);
	return feed_scan(req, req->body.base + req->body.end - n, n);
}

int
request_body(struct request *req, const uint8_t *bytes, size_t n)
{
	uint8_t *at;
	int r;

	if ((r = request_body_room(req, n, &at)) < 0)
		return r;
	memcpy(at, bytes, n);
	return request_body_came(req, n);
}

int
request_adopt_body(
    struct request *req, struct buf *in, uint8_t *bytes, size_t n)
{
	size_t max = in->max;
	int r;

	if (begin_scan(req) < 0)
		return refuse_rest(req, 503, "overloaded", "out of memory");
	req->body = *in;
	buf_init(in, max);
	req->body_at = (size_t)(bytes - req->body.base);
	req->body.end = req->body_at + n;
	r = hold_body(req, 0);
	return r == 0 ? feed_scan(req, bytes, n) : r;
}

// Nothing of it is still on its way.
static int
refuse_complete(struct request *req)
{
	const char *why = body_scan_why(req->scan);

	if (req->scan->is_form)
		return refuse_body(req, 400, "invalid_form", why);
	return refuse_body(req, 400, "invalid_json", why);
}

static int
read_scan(struct request *req)
{
	const char *model;

	if (begin_body(req) < 0)
		return refuse_body(req, 503, "overloaded", "out of memory");
	if (body_scan_end(req->scan) < 0)
		return refuse_complete(req);
	model = body_scan_model(req->scan);
	if (model[0] == '\0')
		return refuse_body(
		    req, 400, "missing_model", "the request names no model");
	memcpy(req->model, model, strlen(model) + 1);
	req->wants_stream = body_scan_stream(req->scan);
	// A stream tells what it took when it was asked to; without memory for
	// it nothing is counted, and nothing else is different.
	if (!req->wants_stream || req->scan->is_form ||
	    req->scan->json.has_stream_options ||
	    req->endpoint == ENDPOINT_RESPONSES ||
	    req->endpoint == ENDPOINT_MESSAGES)
		req->usage = calloc(1, sizeof(*req->usage));
	req->request_bytes = request_body_slice(req).len;
	free(req->scan);
	req->scan = NULL;
	return 0;
}

void
request_start(struct request *req)
{
	if (read_scan(req) < 0)
		return;
	if (req->key != NULL &&
	    !api_key_has_model(&req->key->key, req->model)) {
		(void)refuse_body(req, 403, "model_not_allowed",
		    "this API key may not ask for this model");
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

	if (queue_join(req) == 0)
		return;
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
	if (req->candidates.is_full) {
		wait_for_turn(req);
		return;
	}
	queue_leave(req);
	if (req->candidates.n == 0)
		request_fail(req, &failure);
	else
		request_next(req);
}

void
request_next(struct request *req)
{
	struct candidates *c = &req->candidates;
	struct failure last;

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
	stop_attempt(req);
	req->d->counters.failed++;
	break_off(req, &failure);
}

void
request_attempt_failed(struct request *req, const struct failure *failure)
{
	req->failure = *failure;
	stop_attempt(req);
	if (is_committed(req)) {
		req->d->counters.failed++;
		break_off(req, &req->failure);
		return;
	}
	reset_answer(req);
	if (req->candidates.next < req->candidates.n) {
		req->d->counters.retries++;
		request_log_end(req, "attempt-failed");
	}
	request_next(req);
}
