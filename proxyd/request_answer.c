// What an attempt hands over on its way to the front.  The source is a backend
// or a host and trusted with nothing; once a byte of its answer has left there
// is no other try, and an answer that is not complete must not look so.
#include "proxyd/request.h"

#include "common/log.h"
#include "proxyd/attempt.h"
#include "proxyd/metrics.h"
#include "proxyd/translation.h"
#include "proxyd/usage.h"

int
request_answer_head(struct request *req, const struct http_response *response)
{
	const struct candidates *c = &req->candidates;

	req->status = response->status;
	if (response->status >= 502 && response->status <= 504)
		attempt_is_unwell(req->attempt);
	else
		attempt_answered(req->attempt);
	// Another one may be ready, or have less to do.
	if (c->next < c->n && response->status == 429)
		return -EBUSY;
	if (c->next < c->n &&
	    (response->status == 502 || response->status == 503))
		return -EAGAIN;
	if (translation_is_called_for(req, response->status)) {
		req->candidates.next--; // the same once more
		return -EOPNOTSUPP;
	}
	return relay_head(req, response);
}

// The front takes no more: that is no fault of the source.
int
request_send(struct request *req, const uint8_t *bytes, size_t n)
{
	int r;

	if (req->answer.is_event_stream)
		sse_tail_note(&req->tail, bytes, n);
	if (req->usage != NULL)
		usage_feed(req->usage, bytes, n);
	r = answer_body(&req->answer, bytes, n);
	req->is_front_broken = r < 0 && r != -EBADMSG;
	return req->is_front_broken ? 0 : r;
}

int
request_answer_body(struct request *req, const uint8_t *bytes, size_t n)
{
	size_t room = ERROR_BODY_MAX - buf_len(&req->error_body);

	if (!req->is_collecting_error)
		return req->attempt->is_translated
		    ? translation_body(req, bytes, n)
		    : request_send(req, bytes, n);
	if (n > room) {
		req->error_overflow = true;
		n = room;
	}
	return buf_append(&req->error_body, bytes, n);
}

static void
count_served(struct request *req)
{
	struct counters *c = &req->d->counters;

	if (req->is_inbound)
		(*(req->is_plain ? &c->plain_served : &c->sealed_served))++;
	else if (req->attempt != NULL &&
	    req->attempt->to.source == SOURCE_LOCAL)
		c->local++;
}

static void
front_is_broken(struct request *req)
{
	req->d->counters.aborted++;
	request_log_end(req, "aborted");
	request_finish(req, REQUEST_BROKEN);
}

void
request_answer_flush(struct request *req, bool is_held)
{
	int r;

	if (req->is_collecting_error || !req->has_source_head)
		return;
	if (req->is_front_broken)
		r = -EPIPE;
	else if (is_held && req->answer.framing == HTTP_BODY_LENGTH)
		r = answer_hold(&req->answer);
	else
		r = answer_flush(&req->answer);
	if (r < 0) {
		front_is_broken(req);
		return;
	}
	metrics_count_sent(req);
	// No other try from here on: the body has served.
	if (req->answer.has_sent && req->held != 0 &&
	    req->attempt->is_written) {
		buf_release(&req->body);
		translation_sent(req);
		proxyd_unhold(req->d, &req->held);
	}
}

// -EPIPE: what ends a stream had not come when its source was complete.
static void
answer_is_bad(struct request *req, int error)
{
	struct failure failure;

	if (error == -EPIPE)
		failure_set(&failure, 502, "stream_cut",
		    "the stream ended in the middle of its answer");
	else
		failure_set(&failure, 502, "bad_backend_answer",
		    "the answer is no chat completion");
	request_attempt_failed(req, &failure);
}

void
request_answer_end(struct request *req)
{
	int r;

	if (req->is_collecting_error) {
		relay_error(req);
		return;
	}
	if (req->attempt->is_translated && (r = translation_end(req)) != 0) {
		if (r < 0)
			answer_is_bad(req, r);
		return;
	}
	if (req->needs_done && !sse_tail_is_done(&req->tail)) {
		answer_is_bad(req, -EPIPE);
		return;
	}
	if (req->is_front_broken || answer_end(&req->answer) < 0) {
		front_is_broken(req);
		return;
	}
	metrics_count_sent(req);
	count_served(req);
	if (req->attempt != NULL)
		attempt_succeeded(req->attempt);
	request_log_end(req, "answered");
	request_finish(req, REQUEST_COMPLETE);
}

void
request_front_writable(struct request *req)
{
	if (req->attempt != NULL)
		attempt_resume(req->attempt);
}

void
request_show_life(struct request *req)
{
	if (!req->is_front_broken && !request_is_blocked(req) &&
	    answer_show_life(&req->answer) < 0)
		front_is_broken(req);
}

bool
request_keep_alive(struct request *req)
{
	static const char comment[] = ": keep-alive\n\n";
	struct answer *a = &req->answer;
	int r = 0;

	if (req->is_collecting_error || req->is_front_broken ||
	    request_is_blocked(req))
		return false;
	if (!a->has_head) {
		if (req->is_inbound || !req->wants_stream)
			return false;
		r = relay_early_head(req);
	}
	if (!a->is_event_stream || a->framing == HTTP_BODY_LENGTH ||
	    !sse_tail_is_between(&req->tail))
		return false;
	if (r == 0)
		r = answer_body(
		    a, (const uint8_t *)comment, sizeof(comment) - 1);
	if (r == 0)
		r = answer_flush(a);
	if (r < 0)
		front_is_broken(req);
	return true;
}
