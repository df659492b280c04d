// Requests of strangers.  Sealed: collected up to the FIN, opened with a key
// that cryptod gives out once, parsed strictly, matched with a short list of
// paths, rebuilt.  Plain: the same, where policy allows it.  What fails before
// it was opened is dropped without a word; a request is never forwarded to a
// third node.
#include "proxyd/inbound.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "cryptod/client.h"
#include "proxyd/http_body.h"
#include "proxyd/metrics.h"
#include "proxyd/models.h"
#include "proxyd/request.h"
#include "proxyd/sealed_v1.h"

enum {
	ENVELOPE_READ_BYTES = 256 * 1024,
	FIRST_READS_MAX = 8, // of what is there when the tunnel comes
};

enum inbound_state {
	INBOUND_MARK, // nothing read
	INBOUND_ENVELOPE,
	INBOUND_OPENING, // cryptod was asked
	INBOUND_HEAD,	 // plain
	INBOUND_BODY,
	INBOUND_BUSY, // the answer is being made
	INBOUND_FLUSH,
	INBOUND_LINGER, // answered; gossipd takes its time to deliver
};

struct inbound {
	struct reap reap;
	TAILQ_ENTRY(inbound) entry;
	struct proxyd *d; // borrowed
	uint8_t peer_id[ENDPOINT_ID_LEN];
	struct stream stream;
	struct event watch_late; // for a peer that goes away
	enum inbound_state state;
	bool is_sealed;
	bool at_end; // the peer's FIN was read
	struct sealed_envelope envelope;
	size_t held;	  // proxyd_hold()
	uint32_t open_id; // 0: not waiting
	struct buf head;
	size_t scanned;
	struct http_body body;
	struct request *req; // borrowed while it lives
	size_t nth;	     // of this peer's tunnels, when it came
};

static void
inbound_free(struct reap *reap)
{
	struct inbound *in =
	    (struct inbound *)((char *)reap - offsetof(struct inbound, reap));

	sodium_memzero(in, sizeof(*in));
	free(in);
}

static void
drop_envelope(struct inbound *in)
{
	sealed_envelope_done(&in->envelope);
	proxyd_unhold(in->d, &in->held);
}

// For the opener this is an abort, unless the answer was shut before.
static void
inbound_close(struct inbound *in)
{
	struct request *req = in->req;

	if (!stream_is_open(&in->stream))
		return;
	stream_close(&in->stream);
	(void)event_del(&in->watch_late);
	in->req = NULL;
	if (req != NULL)
		request_abort(req);
	if (in->open_id != 0 && in->d->cryptod != NULL)
		ipc_cancel(in->d->cryptod, in->open_id);
	drop_envelope(in);
	buf_release(&in->head);
	TAILQ_REMOVE(&in->d->inbounds, in, entry);
	in->d->n_inbounds--;
	reaper_take(&in->d->reaper, &in->reap, inbound_free);
}

static void
refuse_silently(struct inbound *in, const char *reason)
{
	in->d->counters.refused++;
	metrics_count_dropped(in->d, reason);
	if (log_limit_pass(&in->d->peers_log, clock_mono_ms()))
		LOG(LOG_INFO, "request-refused",
		    F("from", log_peer(in->peer_id)),
		    F("form", in->is_sealed ? "sealed" : "plain"),
		    F("reason", reason));
	inbound_close(in);
}

// ---- the end

// All of both directions is with gossipd: closed.  While the peer still sends
// that would look like an abort: FIN, and the close follows when gossipd has
// delivered all and closes its end.
static void
shut(struct inbound *in)
{
	if (in->at_end) {
		inbound_close(in);
		return;
	}
	in->state = INBOUND_LINGER;
	if (shutdown(in->stream.fd, SHUT_WR) == -1 ||
	    stream_has_hangup(&in->stream)) {
		inbound_close(in);
		return;
	}
	stream_read_start(&in->stream, in->d->timeouts.head);
}

static void
on_request_ended(void *front, enum request_end how)
{
	struct inbound *in = front;

	in->req = NULL;
	drop_envelope(in);
	if (how == REQUEST_BROKEN)
		inbound_close(in);
	else if (stream_is_blocked(&in->stream))
		in->state = INBOUND_FLUSH;
	else
		shut(in);
}

static int
begin_request(struct inbound *in, enum endpoint endpoint)
{
	struct request_front front = { &in->stream, in, on_request_ended };

	if (request_new(&in->req, in->d, &front, endpoint) < 0) {
		inbound_close(in);
		return -ENOMEM;
	}
	in->req->is_inbound = true;
	in->req->peer_id = in->peer_id;
	in->req->is_plain = !in->is_sealed;
	in->req->wants_close = true;
	in->state = INBOUND_BUSY;
	return 0;
}

// An answer that says no; with seal, if the request could be opened.
static void
refuse(struct inbound *in, int status, const char *code, const char *message)
{
	struct failure failure;

	failure_set(&failure, status, code, "%s", message);
	request_fail(in->req, &failure);
}

static void
refuse_for_now(struct inbound *in)
{
	struct failure failure;

	failure_set(&failure, 429, "too_many_requests",
	    "this host is working on as many requests of this node as it may");
	failure.retry_after_s = RETRY_AFTER_S;
	request_fail(in->req, &failure);
}

// ---- the request, once it can be read

// Like an API client's, but with fewer paths.  0: its body may follow.
static int
take_head(struct inbound *in, const uint8_t *head, size_t len)
{
	struct http_request request;
	struct http_refusal why;
	const char *unreadable;
	struct slice boundary;
	struct route route;

	if (http_request_parse(head, len, HTTP_HOST_OPTIONAL, &request, &why) <
	    0) {
		refuse(in, why.status, "bad_request", why.message);
		return -EBADMSG;
	}
	route = route_find(DOOR_TUNNEL, &request);
	if (route.endpoint == ENDPOINT_NONE) {
		refuse(in, route.allow != NULL ? 405 : 404, "not_found",
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
	if (!endpoint_has_body(route.endpoint)) {
		models_answer_list(in->req);
		return -EALREADY;
	}
	unreadable =
	    content_refusal(route.endpoint, &request.fields, &boundary);
	if (unreadable != NULL) {
		refuse(in, 415, "unsupported_content_type", unreadable);
		return -EBADMSG;
	}
	if (endpoint_has_form(route.endpoint) &&
	    request_expect_form(in->req, boundary) < 0) {
		refuse(in, 503, "overloaded", "out of memory");
		return -ENOMEM;
	}
	if (request.framing == HTTP_BODY_LENGTH && request.length > BODY_MAX) {
		refuse(in, 413, "request_too_large",
		    "the body is larger than 70 MiB");
		return -EMSGSIZE;
	}
	http_body_init(&in->body, request.framing, request.length);
	return 0;
}

// Feed the body; bytes behind it are discarded.  Not 0: it was refused.
static int
feed_body(struct inbound *in, const uint8_t *bytes, size_t n)
{
	struct http_piece piece;

	while (n > 0 && !http_body_is_done(&in->body)) {
		if (http_body_read(&in->body, bytes, n, &piece) < 0) {
			refuse(in, 400, "bad_request",
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

// ---- sealed

// A body with a length lies in one piece where it was opened: it stays there.
static int
take_opened_body(struct inbound *in, uint8_t *body, size_t n)
{
	uint64_t length = in->body.left;
	bool is_whole = in->body.framing == HTTP_BODY_LENGTH && n >= length;
	int r;

	if (!is_whole || length == 0) {
		r = feed_body(in, body, n);
	} else {
		proxyd_unhold(in->d, &in->held);
		r = request_adopt_body(
		    in->req, &in->envelope.in, body, (size_t)length);
	}
	if (r < 0)
		return r;
	if (is_whole || http_body_is_done(&in->body))
		return 0;
	refuse(in, 400, "bad_request", "the body ends too early");
	return -EBADMSG;
}

static void
take_opened(struct inbound *in, uint8_t *text, size_t n)
{
	size_t scanned = 0, len = 0;
	int r = http_head_find(text, n, &scanned, &len);

	if (r < 0) {
		refuse(in, 400, "bad_request",
		    "what was sealed is not an HTTP request");
		return;
	}
	if (take_head(in, text, len) < 0 ||
	    take_opened_body(in, text + len, n - len) < 0)
		return;
	drop_envelope(in);
	request_start(in->req);
}

static void
on_opened(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	static const char *const reasons[] = {
		[IPC__RESULT__RESULT_BAD_KEY] = "ephemeral key is unusable",
		[IPC__RESULT__RESULT_REPLAYED] = "replay: key seen before",
		[IPC__RESULT__RESULT_BUSY] = "replay memory is full",
	};
	struct inbound *in = arg;
	struct cryptod_opened keys;
	uint8_t *text;
	size_t n;

	(void)frame;
	in->open_id = 0;
	if (cryptod_open_read(status, msg, &keys) < 0) {
		refuse_silently(in, "cryptod does not answer");
		return;
	}
	if (keys.result != IPC__RESULT__RESULT_OK) {
		refuse_silently(in,
		    (size_t)keys.result < N_ELEMENTS(reasons)
			? reasons[keys.result]
			: "refused by cryptod");
		return;
	}
	for (size_t i = 0; i < keys.n_candidates; i++) {
		const struct cryptod_candidate *c = &keys.candidates[i];

		if (sealed_envelope_open(
			&in->envelope, c->request_key, &text, &n) < 0)
			continue;
		if (begin_request(in, ENDPOINT_NONE) < 0)
			return;
		answer_seal(&in->req->answer, c->inference_key, c->request_key);
		take_opened(in, text, n);
		return;
	}
	refuse_silently(in, "sealed to another key, or damaged");
}

static void
envelope_is_complete(struct inbound *in)
{
	const char *stage;

	if (sealed_envelope_parse(&in->envelope) < 0) {
		stage = sealed_stage_name(in->envelope.stage);
		LOG(LOG_DEBUG, "envelope-damaged",
		    F("from", log_peer(in->peer_id)), F("stage", stage));
		refuse_silently(in, "the sealed envelope is malformed");
		return;
	}
	if (in->d->cryptod == NULL ||
	    cryptod_open_send(in->d->cryptod, in->envelope.ephemeral_key,
		ASK_DEADLINE_MS, on_opened, in, &in->open_id) < 0) {
		refuse_silently(in, "cryptod is not running");
		return;
	}
	in->state = INBOUND_OPENING;
}

static int
hold_envelope(struct inbound *in)
{
	if (proxyd_hold(in->d, &in->held, in->envelope.in.size) == 0)
		return 0;
	refuse_silently(in, "too many bytes are held already");
	return -ENOBUFS;
}

static void
begin_sealed(struct inbound *in, const uint8_t *bytes, size_t n)
{
	uint8_t *at;
	size_t room;

	in->is_sealed = true;
	in->state = INBOUND_ENVELOPE;
	sealed_envelope_init(&in->envelope, SEALED_ENVELOPE_MAX);
	if (sealed_envelope_reserve(&in->envelope, n, &at, &room) < 0 ||
	    room < n) {
		refuse_silently(in, "out of memory");
		return;
	}
	memcpy(at, bytes, n);
	sealed_envelope_commit(&in->envelope, n);
	if (hold_envelope(in) == 0)
		stream_read_start(&in->stream, in->d->timeouts.body);
}

// Straight into the envelope's buffer, no copy.
static ssize_t
read_envelope(struct inbound *in)
{
	// A small first read: most requests are a few KiB.
	size_t want = buf_len(&in->envelope.in) < SCRATCH_BYTES
	    ? SCRATCH_BYTES / 4
	    : ENVELOPE_READ_BYTES;
	uint8_t *at;
	size_t room;
	ssize_t n;

	if (sealed_envelope_reserve(&in->envelope, want, &at, &room) < 0) {
		refuse_silently(in, "the sealed envelope is too large");
		return -ECANCELED;
	}
	n = stream_recv(&in->stream, at, room);
	if (n > 0) {
		sealed_envelope_commit(&in->envelope, (size_t)n);
		if (hold_envelope(in) < 0)
			return -ECANCELED;
	}
	return n;
}

// ---- plain

static void
refuse_plain(struct inbound *in)
{
	in->d->counters.plain_refused++;
	if (log_limit_pass(&in->d->peers_log, clock_mono_ms()))
		LOG(LOG_WARNING, "plain-request-refused",
		    F("from", log_peer(in->peer_id)));
	if (begin_request(in, ENDPOINT_NONE) == 0)
		refuse(in, 403, "plaintext_refused",
		    "this host takes sealed requests only");
}

static void
feed_plain_body(struct inbound *in, const uint8_t *bytes, size_t n)
{
	if (feed_body(in, bytes, n) < 0 || !http_body_is_done(&in->body))
		return;
	in->state = INBOUND_BUSY;
	stream_read_start(&in->stream, NULL);
	request_start(in->req);
}

static void
feed_plain_head(struct inbound *in, const uint8_t *bytes, size_t n)
{
	size_t before = buf_len(&in->head), len = 0;
	struct buf whole;
	int r;

	if (n > HTTP_HEAD_MAX + SCRATCH_BYTES - before ||
	    buf_append(&in->head, bytes, n) < 0) {
		refuse_silently(in, "the head is too large");
		return;
	}
	r = http_head_find(
	    buf_data(&in->head), buf_len(&in->head), &in->scanned, &len);
	if (r == -EAGAIN)
		return;
	if (begin_request(in, ENDPOINT_NONE) < 0)
		return;
	if (r < 0) {
		refuse(in, http_head_refusal(r).status, "bad_request",
		    http_head_refusal(r).message);
		return;
	}
	LOG(LOG_WARNING, "plain-request-coming-in",
	    F("from", log_peer(in->peer_id)));
	whole = in->head;
	buf_init(&in->head, whole.max);
	if (take_head(in, buf_data(&whole), len) == 0) {
		in->state = INBOUND_BODY;
		stream_read_start(&in->stream, in->d->timeouts.body);
		feed_plain_body(
		    in, buf_data(&whole) + len, buf_len(&whole) - len);
	}
	buf_release(&whole);
}

// ---- the loop

static void
feed(struct inbound *in, const uint8_t *bytes, size_t n)
{
	if (in->state == INBOUND_MARK) {
		if (bytes[0] == SEALED_MARK) {
			begin_sealed(in, bytes, n);
			return;
		}
		if (!in->d->config->plaintext_allowed) {
			refuse_plain(in);
			return;
		}
		in->state = INBOUND_HEAD;
	}
	if (in->state == INBOUND_HEAD)
		feed_plain_head(in, bytes, n);
	else if (in->state == INBOUND_BODY)
		feed_plain_body(in, bytes, n);
	// Else it is behind the request, and discarded.
}

// The peer's FIN, or the end of all.
static void
take_end(struct inbound *in)
{
	// With a whole request that shows when the stream is watched.
	if ((in->at_end || in->state != INBOUND_ENVELOPE) &&
	    stream_has_hangup(&in->stream)) {
		inbound_close(in);
		return;
	}
	if (in->at_end)
		return; // only an edge of our own making
	in->at_end = true;
	stream_watch_hangup(&in->stream);
	switch (in->state) {
	case INBOUND_ENVELOPE:
		envelope_is_complete(in);
		break;
	case INBOUND_MARK:
	case INBOUND_HEAD:
	case INBOUND_BODY:
		refuse_silently(in, "the request ends too early");
		break;
	case INBOUND_LINGER:
		stream_read_start(&in->stream, in->d->timeouts.head);
		break;
	default:
		break;
	}
}

// true: there may be more.
static bool
read_once(struct inbound *in)
{
	uint8_t *scratch = in->d->scratch;
	bool is_envelope = in->state == INBOUND_ENVELOPE;
	ssize_t n;

	n = is_envelope ? read_envelope(in)
			: stream_recv(&in->stream, scratch, SCRATCH_BYTES);
	if (n == -EAGAIN || n == -ECANCELED)
		return false;
	if (n < 0) {
		inbound_close(in);
		return false;
	}
	if (n == 0) {
		take_end(in);
		return false;
	}
	if (is_envelope)
		return true;
	feed(in, scratch, (size_t)n);
	sodium_memzero(scratch, (size_t)n);
	return stream_is_open(&in->stream);
}

static void
on_readable(struct stream *s, void *arg)
{
	(void)s;
	(void)read_once(arg);
}

static void
on_writable(struct stream *s, void *arg)
{
	struct inbound *in = arg;

	(void)s;
	if (in->state == INBOUND_FLUSH)
		shut(in);
	else if (in->req != NULL)
		request_front_writable(in->req);
}

static void
on_failed(struct stream *s, void *arg, int error)
{
	struct inbound *in = arg;

	(void)s;
	if (in->state == INBOUND_LINGER || in->state == INBOUND_BUSY ||
	    in->state == INBOUND_FLUSH)
		inbound_close(in);
	else
		refuse_silently(in,
		    error == -ETIMEDOUT ? "the request came too slowly"
					: "the tunnel failed");
}

static size_t
count_of_peer(const struct proxyd *d, const uint8_t *peer_id)
{
	const struct inbound *in;
	size_t n = 0;

	TAILQ_FOREACH (in, &d->inbounds, entry)
		n += memcmp(in->peer_id, peer_id, ENDPOINT_ID_LEN) == 0;
	return n;
}

static void
on_watch_late(evutil_socket_t fd, short what, void *arg)
{
	struct inbound *in = arg;

	(void)fd;
	(void)what;
	stream_watch(&in->stream);
}

// gossipd hands a tunnel over with all in it that came: mostly the request and
// its end.  Then there is nothing to wait for but the peer's going away, which
// most answers are too fast for.
static void
read_first(struct inbound *in)
{
	stream_defer(&in->stream);
	stream_read_start(&in->stream, in->d->timeouts.head);
	for (int i = 0; i < FIRST_READS_MAX && read_once(in); i++)
		;
	if (!in->at_end)
		stream_watch(&in->stream);
	else if (stream_is_open(&in->stream))
		(void)evtimer_add(&in->watch_late, in->d->timeouts.watch_late);
}

void
inbound_new(
    struct proxyd *d, const uint8_t peer_id[static ENDPOINT_ID_LEN], int tunnel)
{
	static const struct stream_ops ops = { on_readable, on_writable,
		on_failed };
	AUTO_FD fd = tunnel;
	size_t others = count_of_peer(d, peer_id);
	struct inbound *in;

	d->counters.tunnels_in++;
	if (d->is_stopping || d->n_inbounds >= INBOUND_MAX ||
	    others >= INBOUND_PER_PEER_MAX ||
	    (in = calloc(1, sizeof(*in))) == NULL) {
		d->counters.refused++;
		metrics_count_dropped(d, "too many tunnels at a time");
		if (log_limit_pass(&d->peers_log, clock_mono_ms()))
			LOG(LOG_INFO, "request-refused",
			    F("from", log_peer(peer_id)),
			    F("reason", "too many tunnels at a time"));
		return;
	}
	in->d = d;
	in->nth = others;
	memcpy(in->peer_id, peer_id, ENDPOINT_ID_LEN);
	buf_init(&in->head, HTTP_HEAD_MAX + SCRATCH_BYTES);
	stream_init(&in->stream, d->base, take_fd(&fd), &ops, in);
	in->stream.write_timeout = d->timeouts.answer;
	(void)evtimer_assign(&in->watch_late, d->base, on_watch_late, in);
	TAILQ_INSERT_TAIL(&d->inbounds, in, entry);
	d->n_inbounds++;
	read_first(in);
}

void
inbounds_close_all(struct proxyd *d)
{
	struct inbound *in;

	while ((in = TAILQ_FIRST(&d->inbounds)) != NULL)
		inbound_close(in);
}
