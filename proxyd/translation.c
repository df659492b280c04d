// Between one request and the pure translation: buffers, limits, the moment
// when each part leaves.  Everything here is plaintext and is wiped with its
// buffer.
#include "proxyd/translation.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#include "common/hex.h"
#include "proxyd/attempt.h"
#include "proxyd/proxyd.h"
#include "proxyd/request.h"

enum { ECHO_MAX = 8 * 1024 * 1024, ID_BYTES = 16 };

bool
translation_is_needed(const struct request *req, const struct candidate *to)
{
	return req->endpoint == ENDPOINT_RESPONSES && !req->is_inbound &&
	    learned_has_no_responses(
		&req->d->learned, to, req->model, clock_mono_ms());
}

bool
translation_is_called_for(const struct request *req, int status)
{
	const struct attempt *a = req->attempt;

	if (req->endpoint != ENDPOINT_RESPONSES || req->is_inbound ||
	    a->is_translated)
		return false;
	if (status != 404 && status != 405 && status != 501)
		return false;
	learned_no_responses(
	    &req->d->learned, &a->to, req->model, clock_mono_ms());
	return true;
}

// ---- the request

static int
translate(struct request *req, struct translation *t, const char **ret_why)
{
	struct slice body = request_body_slice(req);
	uint8_t *room;
	int r = buf_reserve(&t->chat, REQUEST_HEAD_ROOM, &room);

	*ret_why = "out of memory";
	if (r < 0)
		return r;
	memset(room, 0, REQUEST_HEAD_ROOM);
	buf_commit(&t->chat, REQUEST_HEAD_ROOM);
	return responses_request(
	    (const uint8_t *)body.at, body.len, &t->chat, &t->echo, ret_why);
}

int
translation_prepare(struct request *req, struct failure *ret)
{
	struct translation *t = req->translation;
	const char *why = "out of memory";
	int r = -ENOMEM;

	if (t != NULL)
		return 0;
	if ((t = calloc(1, sizeof(*t))) != NULL) {
		req->translation = t;
		buf_init(&t->chat, REQUEST_HEAD_ROOM + RESPONSES_REQUEST_MAX);
		buf_init(&t->echo, ECHO_MAX);
		buf_init(&t->whole, RESPONSES_OUT_MAX);
		buf_init(&t->event, RESPONSES_OUT_MAX);
		sse_init(&t->sse);
		r = translate(req, t, &why);
	}
	if (r == 0)
		r = proxyd_hold(req->d, &t->held, t->chat.size + t->echo.size);
	if (r == 0)
		return 0;
	if (r == -EINVAL)
		failure_set(ret, 400, "unsupported_parameter", "%s", why);
	else if (r == -EMSGSIZE)
		failure_set(ret, 413, "request_too_large", "%s", why);
	else
		failure_set(ret, 503, "overloaded",
		    "too much is being worked on, try again later");
	translation_free(req);
	return r;
}

void
translation_sent(struct request *req)
{
	if (req->translation == NULL)
		return;
	buf_release(&req->translation->chat);
	proxyd_unhold(req->d, &req->translation->held);
}

void
translation_free(struct request *req)
{
	struct translation *t = req->translation;

	if (t == NULL)
		return;
	translation_sent(req);
	translation_reset(req);
	buf_release(&t->echo);
	sodium_memzero(t, sizeof(*t));
	free(t);
	req->translation = NULL;
}

// ---- the answer

void
translation_reset(struct request *req)
{
	struct translation *t = req->translation;

	if (t == NULL)
		return;
	responses_done(&t->out);
	sse_done(&t->sse);
	buf_release(&t->whole);
	buf_release(&t->event);
	t->is_ended = false;
}

static int
send_event(struct request *req)
{
	struct buf *event = &req->translation->event;
	int r = request_send(req, buf_data(event), buf_len(event));

	buf_clear(event);
	return r;
}

int
translation_begin(struct request *req)
{
	struct translation *t = req->translation;
	uint8_t random[ID_BYTES];
	char id[2 * ID_BYTES + 1];
	int r;

	translation_reset(req);
	randombytes_buf(random, sizeof(random));
	hex_encode(id, random, sizeof(random));
	responses_init(&t->out, id, req->model,
	    (int64_t)(clock_unix_ms() / 1000), &t->echo);
	if (!req->wants_stream)
		return 0;
	r = responses_begin(&t->out, &t->event);
	return r < 0 ? r : send_event(req);
}

static int
on_event(void *arg, const char *data, size_t len)
{
	struct translation *t = arg;

	return responses_event(&t->out, data, len, &t->event);
}

int
translation_body(struct request *req, const uint8_t *bytes, size_t n)
{
	struct translation *t = req->translation;
	int r;

	if (!req->wants_stream)
		return buf_append(&t->whole, bytes, n);
	r = sse_feed(&t->sse, bytes, n, on_event, t);
	// What came before the mistake is good.
	if (buf_len(&t->event) > 0 && send_event(req) < 0)
		return -EBADMSG;
	return r < 0 ? -EBADMSG : 0;
}

int
translation_end(struct request *req)
{
	struct translation *t = req->translation;
	int r;

	if (t->is_ended)
		return 0;
	t->is_ended = true;
	if (req->wants_stream) {
		r = responses_end(&t->out, &t->event);
		return r < 0 ? r : send_event(req);
	}
	r = responses_whole(&t->out, (const char *)buf_data(&t->whole),
	    buf_len(&t->whole), &t->event);
	if (r < 0)
		return -EBADMSG;
	relay_json(
	    req, 200, (const char *)buf_data(&t->event), buf_len(&t->event));
	return 1;
}

void
translation_break(struct request *req, const char *message)
{
	struct translation *t = req->translation;

	buf_clear(&t->event);
	if (responses_fail(&t->out, message, &t->event) == 0 &&
	    send_event(req) == 0)
		(void)!answer_flush(&req->answer);
}
