// Answers of our own: errors, lists, and the end of an answer that cannot be
// completed.  What a client reads here names no content of a request, and where
// part of an answer has left no second one begins.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxyd/load.h"
#include "proxyd/request.h"

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

static const char json_type[] = "application/json";

static int
own_head(struct request *req, int status, const char *type, size_t len,
    const struct failure *failure)
{
	char seconds[16], load[LOAD_TEXT_MAX];
	char id[2 * ENDPOINT_ID_SHORT_LEN + 1];
	struct http_pair set[8 + RELAY_SOURCE_FIELDS];
	struct http_rewrite how = { .framing = HTTP_BODY_LENGTH,
		.length = len,
		.close = req->wants_close,
		.set = set };
	size_t n = 0;

	set[n++] = (struct http_pair){ "Content-Type", type };
	if (!req->is_inbound)
		set[n++] = (struct http_pair){ "X-Request-Id", req->id };
	if (load_tell(req, load))
		set[n++] = (struct http_pair){ LOAD_FIELD, load };
	if (req->candidates.route[0] != '\0')
		set[n++] = (struct http_pair){ "X-Meshllm-Route",
			req->candidates.route };
	if (req->has_asked && !req->is_inbound) {
		relay_source(&req->asked, req->asked_level, id, set + n);
		n += RELAY_SOURCE_FIELDS;
	}
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

	request_stop_attempt(req);
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

// Of a stream each event counts that was good, though something bad came
// right behind it.  Of anything else a larger part is no use, and with its
// length told it could look whole.
static void
send_what_came(struct answer *a)
{
	if (!a->is_event_stream || a->framing == HTTP_BODY_LENGTH ||
	    answer_flush(a) < 0)
		answer_drop(a);
}

void
request_break_off(struct request *req, const struct failure *failure)
{
	send_what_came(&req->answer);
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
		request_break_off(req, &req->failure);
	else
		send_whole(req, failure->status, json_type,
		    (struct slice){ body, len }, &req->failure);
}
