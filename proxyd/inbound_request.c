// What a stranger asks for, once it can be read: parsed strictly, matched with
// a short list of paths, rebuilt.  A request is never forwarded to a third
// node, and a plain one is taken only where policy allows it.
#include "common/log.h"
#include "proxyd/inbound_state.h"
#include "proxyd/metrics.h"
#include "proxyd/models.h"
#include "proxyd/silence.h"

int
inbound_begin(struct inbound *in, enum endpoint endpoint)
{
	struct request_front front = { &in->stream, in, inbound_request_ended };

	if (request_new(&in->req, in->d, &front, endpoint) < 0) {
		inbound_close(in);
		return -ENOMEM;
	}
	in->req->is_inbound = true;
	in->req->peer_id = in->peer_id;
	in->req->is_plain = !in->is_sealed;
	in->req->wants_close = true;
	in->req->ran_ms = in->heard_ms;
	in->state = INBOUND_BUSY;
	return 0;
}

// An answer that says no; with seal, if the request could be opened.
void
inbound_refuse(
    struct inbound *in, int status, const char *code, const char *message)
{
	struct failure failure;

	failure_set(&failure, status, code, "%s", message);
	request_fail(in->req, &failure);
}

static void
refuse_for_now(struct inbound *in)
{
	struct failure failure;

	metrics_count_limited(in->d, "peer-requests");
	failure_set(&failure, 429, "too_many_requests",
	    "this host is working on as many requests of this node as it may");
	failure.retry_after_s = RETRY_AFTER_S;
	request_fail(in->req, &failure);
}

static int
expect_body(struct inbound *in, const struct http_request *request)
{
	enum endpoint endpoint = in->req->endpoint;
	struct slice boundary;
	const char *unreadable =
	    content_refusal(endpoint, &request->fields, &boundary);

	if (unreadable != NULL) {
		inbound_refuse(in, 415, "unsupported_content_type", unreadable);
		return -EBADMSG;
	}
	if (endpoint_has_form(endpoint) &&
	    request_expect_form(in->req, boundary) < 0) {
		inbound_refuse(in, 503, "overloaded", "out of memory");
		return -ENOMEM;
	}
	if (request->framing == HTTP_BODY_LENGTH &&
	    request->length > BODY_MAX) {
		inbound_refuse(in, 413, "request_too_large",
		    "the body is larger than 70 MiB");
		return -EMSGSIZE;
	}
	http_body_init(&in->body, request->framing, request->length);
	return 0;
}

// Like an API client's, but with fewer paths.  0: its body may follow.
int
inbound_take_head(struct inbound *in, const uint8_t *head, size_t len)
{
	struct http_request request;
	struct http_refusal why;
	struct route route;

	if (http_request_parse(head, len, HTTP_HOST_OPTIONAL, &request, &why) <
	    0) {
		inbound_refuse(in, why.status, "bad_request", why.message);
		return -EBADMSG;
	}
	route = route_find(DOOR_TUNNEL, &request);
	if (route.endpoint == ENDPOINT_NONE) {
		inbound_refuse(in, route.allow != NULL ? 405 : 404, "not_found",
		    "there is nothing at this path");
		return -ENOENT;
	}
	in->req->endpoint = route.endpoint;
	if (in->nth >= in->d->limits.peer_requests) {
		refuse_for_now(in);
		return -EAGAIN;
	}
	// The opener's number, so that the log lines of both nodes match.
	request_set_id(
	    in->req, http_fields_find(&request.fields, "X-Request-Id"));
	in->req->is_http10 = request.minor == 0;
	in->req->alive_s = silence_wanted(&request.fields);
	if (!endpoint_has_body(route.endpoint)) {
		models_answer_list(in->req);
		return -EALREADY;
	}
	return expect_body(in, &request);
}

// Feed the body; bytes behind it are discarded.  Not 0: it was refused.
int
inbound_feed_body(struct inbound *in, const uint8_t *bytes, size_t n)
{
	struct http_piece piece;

	while (n > 0 && !http_body_is_done(&in->body)) {
		if (http_body_read(&in->body, bytes, n, &piece) < 0) {
			inbound_refuse(in, 400, "bad_request",
			    "the chunks of the body are malformed");
			return -EBADMSG;
		}
		if (piece.len > 0 &&
		    request_body(in->req, bytes + piece.at, piece.len) < 0)
			return -ECANCELED;
		bytes += piece.used;
		n -= piece.used;
	}
	return 0;
}

// ---- plain

void
inbound_refuse_plain(struct inbound *in)
{
	in->d->counters.plain_in++;
	in->d->counters.plain_refused++;
	if (log_limit_pass(&in->d->peers_log, clock_mono_ms()))
		LOG(LOG_WARNING, "plain-request-refused",
		    F("from", log_peer(in->peer_id)));
	if (inbound_begin(in, ENDPOINT_NONE) == 0)
		inbound_refuse(in, 403, "plaintext_refused",
		    "this host takes sealed requests only");
}

void
inbound_feed_plain(struct inbound *in, const uint8_t *bytes, size_t n)
{
	if (inbound_feed_body(in, bytes, n) < 0 ||
	    !http_body_is_done(&in->body))
		return;
	in->state = INBOUND_BUSY;
	stream_read_start(&in->stream, NULL);
	request_start(in->req);
}

void
inbound_feed_head(struct inbound *in, const uint8_t *bytes, size_t n)
{
	size_t before = buf_len(&in->head), len = 0;
	struct buf whole;
	int r;

	if (n > HTTP_HEAD_MAX + SCRATCH_BYTES - before ||
	    buf_append(&in->head, bytes, n) < 0) {
		inbound_drop(in, "the head is too large");
		return;
	}
	r = http_head_find(
	    buf_data(&in->head), buf_len(&in->head), &in->scanned, &len);
	if (r == -EAGAIN)
		return;
	if (inbound_begin(in, ENDPOINT_NONE) < 0)
		return;
	if (r < 0) {
		inbound_refuse(in, http_head_refusal(r).status, "bad_request",
		    http_head_refusal(r).message);
		return;
	}
	in->d->counters.plain_in++;
	LOG(LOG_WARNING, "plain-request-coming-in",
	    F("from", log_peer(in->peer_id)));
	whole = in->head;
	buf_init(&in->head, whole.max);
	if (inbound_take_head(in, buf_data(&whole), len) == 0) {
		in->state = INBOUND_BODY;
		stream_read_start(&in->stream, in->d->timeouts.body);
		inbound_feed_plain(
		    in, buf_data(&whole) + len, buf_len(&whole) - len);
	}
	buf_release(&whole);
}
