// The server side of HTTP/1.1: heads, bodies, keep-alive, pipelining, one
// request at a time.  Clients are on this machine, yet may be a web page, a
// broken program or another user: limits, timeouts and the checks of Host and
// Origin are for them.  Nothing is read as a request that could be the rest
// of another.
#include "proxyd/client_conn.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "proxyd/client_conn_state.h"
#include "proxyd/request.h"

enum {
	PIPELINED_MAX = 64 * 1024, // bytes of later requests held meanwhile
	HEAD_MS_MAX = 30 * 1000,
	DRAIN_MS_MAX = 10 * 1000,
	BLOCKED_TICKS_MAX = 150, // a minute
	LARGE_READ_BYTES = 256 * 1024,
};

static void
conn_free(struct reap *reap)
{
	free((char *)reap - offsetof(struct client_conn, reap));
}

void
client_conn_close(struct client_conn *c)
{
	struct request *req = c->req;

	if (!stream_is_open(&c->stream))
		return;
	stream_close(&c->stream);
	c->req = NULL;
	if (req != NULL)
		request_abort(req);
	free(c->allow_origin);
	c->allow_origin = NULL;
	buf_release(&c->in);
	TAILQ_REMOVE(&c->d->conns, c, entry);
	if (c->is_refused)
		c->d->n_refused--;
	else
		c->d->n_conns--;
	seat_leave(&c->d->seats, &c->seat);
	reaper_take(&c->d->reaper, &c->reap, conn_free);
}

// A close that the client cannot take for the end of a body.
static void
conn_reset(struct client_conn *c)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(
	    c->stream.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	client_conn_close(c);
}

// Closing at once would destroy, by a reset, an answer that the client has
// not read yet.
static void
conn_drain(struct client_conn *c)
{
	c->state = CONN_DRAIN;
	c->since_ms = clock_mono_ms();
	buf_release(&c->in);
	seat_idle(&c->d->seats, &c->seat);
	if (shutdown(c->stream.fd, SHUT_WR) == -1)
		client_conn_close(c);
	else
		stream_read_start(&c->stream, c->d->timeouts.linger);
}

// Nothing more is done for a client that does not take what it asked for.
static void
wait_for_reader(struct client_conn *c)
{
	c->state = CONN_FLUSH;
	stream_read_stop(&c->stream);
}

static void
conn_finish(struct client_conn *c)
{
	c->keep_alive = false;
	if (stream_is_blocked(&c->stream))
		wait_for_reader(c);
	else
		conn_drain(c);
}

static void
wait_for_head(struct client_conn *c)
{
	c->state = CONN_HEAD;
	c->scanned = 0;
	stream_read_start(&c->stream, c->d->timeouts.keep_alive);
	// What came behind the last request is looked at from the loop.
	if (c->has_pipelined || c->at_end)
		event_active(&c->stream.read, EV_READ, 1);
	if (!c->has_pipelined)
		seat_idle(&c->d->seats, &c->seat);
}

// From here on a read means: more, or the client is gone.
void
client_conn_busy(struct client_conn *c)
{
	c->state = CONN_BUSY;
	seat_busy(&c->d->seats, &c->seat);
	c->quiet_ticks = 0;
	c->body_bytes = 0;
	stream_read_start(
	    &c->stream, c->at_end ? c->d->timeouts.half_closed : NULL);
}

void
client_conn_request_ended(void *front, enum request_end how)
{
	struct client_conn *c = front;

	c->req = NULL;
	if (how == REQUEST_BROKEN && c->is_http10)
		conn_reset(c);
	else if (how != REQUEST_COMPLETE || !c->keep_alive)
		conn_finish(c);
	else if (stream_is_blocked(&c->stream))
		wait_for_reader(c);
	else
		wait_for_head(c);
}

// ---- heads

// Returns how many bytes of the input belonged to the head.
static size_t
feed_head(struct client_conn *c, const uint8_t *in, size_t n)
{
	size_t before = buf_len(&c->in), len = 0, all = n;
	const uint8_t *bytes = in;
	struct buf whole;
	int r;

	if (before > 0) {
		if (n > HTTP_HEAD_MAX - before)
			n = HTTP_HEAD_MAX - before;
		if (buf_append(&c->in, in, n) < 0) {
			client_conn_close(c);
			return all;
		}
		bytes = buf_data(&c->in);
		n = buf_len(&c->in);
	}
	r = http_head_find(bytes, n, &c->scanned, &len);
	if (r == -EAGAIN && before == 0) {
		c->since_ms = clock_mono_ms();
		stream_read_start(&c->stream, c->d->timeouts.head);
		if (buf_append(&c->in, in, n) < 0)
			client_conn_close(c);
		return n;
	}
	if (r == -EAGAIN)
		return n - before;
	if (r < 0) {
		client_refuse_head(c, http_head_refusal(r));
		return all;
	}
	c->scanned = 0;
	// Its buffer is free for what is pipelined behind the request.
	whole = c->in;
	buf_init(&c->in, whole.max);
	client_take_head(c, bytes, len);
	buf_release(&whole);
	return len - before;
}

// ---- bodies

static size_t
feed_body(struct client_conn *c, const uint8_t *in, size_t n)
{
	struct http_piece piece;

	if (http_body_read(&c->body, in, n, &piece) < 0) {
		c->keep_alive = false;
		client_refuse(c, 400, "bad_request",
		    "the chunks of the body are malformed");
		return n;
	}
	if (piece.len > 0 &&
	    request_body(c->req, in + piece.at, piece.len) < 0) {
		// It was answered; the rest of its body is no request.
		return n;
	}
	return piece.used;
}

static void
keep_pipelined(struct client_conn *c, const uint8_t *in, size_t n)
{
	if (buf_append(&c->in, in, n) < 0) {
		client_conn_close(c);
		return;
	}
	c->has_pipelined = true;
	// It can wait, and so can the news that the client is gone.
	if (buf_len(&c->in) >= PIPELINED_MAX)
		stream_read_stop(&c->stream);
}

static void
feed(struct client_conn *c, const uint8_t *in, size_t n)
{
	size_t at = 0;

	while (stream_is_open(&c->stream)) {
		if (c->state == CONN_BODY && http_body_is_done(&c->body)) {
			client_conn_busy(c);
			request_start(c->req);
			continue;
		}
		if (at == n)
			return;
		if (c->state == CONN_HEAD) {
			at += feed_head(c, in + at, n - at);
		} else if (c->state == CONN_BODY) {
			at += feed_body(c, in + at, n - at);
		} else {
			if (c->state == CONN_BUSY || c->keep_alive)
				keep_pipelined(c, in + at, n - at);
			return;
		}
	}
}

static void
feed_pipelined(struct client_conn *c)
{
	struct buf pending = c->in;

	c->has_pipelined = false;
	buf_init(&c->in, pending.max);
	feed(c, buf_data(&pending), buf_len(&pending));
	buf_release(&pending);
	// The rest of what it began will not come.
	if (c->at_end && (c->state == CONN_HEAD || c->state == CONN_BODY))
		client_conn_close(c);
	else if (c->state == CONN_HEAD)
		seat_idle(&c->d->seats, &c->seat);
}

// ---- the loop

static bool
takes_too_long(const struct client_conn *c)
{
	uint64_t ms = clock_mono_ms() - c->since_ms;

	if (c->state == CONN_HEAD && buf_len(&c->in) > 0)
		return ms > HEAD_MS_MAX;
	return c->state == CONN_DRAIN && ms > DRAIN_MS_MAX;
}

// Most clients close to leave; some shut their sending side down and wait for
// the answer.  Only sending tells which: who left resets.
static void
take_end(struct client_conn *c)
{
	if (c->state != CONN_BUSY || stream_has_hangup(&c->stream)) {
		client_conn_close(c);
	} else if (!c->at_end) {
		c->at_end = true;
		stream_watch_hangup(&c->stream);
		client_conn_busy(c);
	}
}

// A half-closed client, looked at from time to time.  RFC 9110 15.2: it takes a
// 100 at any time before the answer; within it, what is sent next asks.
static void
ask_client(struct client_conn *c)
{
	const struct answer *answer = &c->req->answer;
	unsigned max = stream_is_blocked(&c->stream) ? BLOCKED_TICKS_MAX : 1;

	if (answer->body_bytes != c->body_bytes)
		c->quiet_ticks = 0;
	c->body_bytes = answer->body_bytes;
	if (answer->has_sent ? c->quiet_ticks++ < max : c->quiet_ticks++ > 0)
		return;
	// In a stream a comment asks, once in each silence.
	if (answer->is_event_stream && max == 1 && c->quiet_ticks > 2)
		return;
	if (answer->has_sent && request_keep_alive(c->req)) {
		c->body_bytes = answer->body_bytes;
		return;
	}
	if (answer->has_sent || c->is_http10 || client_send_continue(c) < 0)
		client_conn_close(c);
}

static bool
has_large_rest(const struct client_conn *c)
{
	return c->state == CONN_BODY && c->body.framing == HTTP_BODY_LENGTH &&
	    c->body.left >= SCRATCH_BYTES;
}

// The rest of a large body is read to where it stays.
static void
read_large(struct client_conn *c)
{
	size_t want = c->body.left < LARGE_READ_BYTES ? (size_t)c->body.left
						      : LARGE_READ_BYTES;
	struct http_piece piece;
	uint8_t *at;
	ssize_t n;

	if (request_body_room(c->req, want, &at) < 0)
		return; // it was answered
	n = stream_recv(&c->stream, at, want);
	if (n == -EAGAIN)
		return;
	if (n == 0)
		take_end(c);
	else if (n < 0 || http_body_read(&c->body, at, (size_t)n, &piece) < 0)
		client_conn_close(c);
	else if (request_body_came(c->req, piece.len) == 0)
		feed(c, at, 0); // if it is complete
}

static void
on_readable(struct stream *s, void *arg)
{
	struct client_conn *c = arg;
	uint8_t *scratch = c->d->scratch;
	ssize_t n;

	if (c->state == CONN_HEAD && c->has_pipelined) {
		feed_pipelined(c);
		return;
	}
	if (has_large_rest(c)) {
		read_large(c);
		return;
	}
	n = stream_recv(s, scratch, SCRATCH_BYTES);
	if (n == -EAGAIN)
		return;
	if (n == 0)
		take_end(c);
	else if (n < 0 || takes_too_long(c))
		client_conn_close(c);
	else if (c->state != CONN_DRAIN)
		feed(c, scratch, (size_t)n);
	if (n > 0)
		sodium_memzero(scratch, (size_t)n);
}

static void
on_writable(struct stream *s, void *arg)
{
	struct client_conn *c = arg;

	(void)s;
	if (c->state == CONN_FLUSH && c->keep_alive)
		wait_for_head(c);
	else if (c->state == CONN_FLUSH)
		conn_drain(c);
	else if (c->req != NULL)
		request_front_writable(c->req);
}

static void
on_failed(struct stream *s, void *arg, int error)
{
	struct client_conn *c = arg;

	(void)s;
	if (error == -ETIMEDOUT && c->state == CONN_BUSY && c->at_end) {
		ask_client(c);
	} else if (error != -ETIMEDOUT || c->state == CONN_BUSY ||
	    c->state == CONN_FLUSH || c->state == CONN_DRAIN ||
	    (c->state == CONN_HEAD && buf_len(&c->in) == 0)) {
		client_conn_close(c);
	} else {
		c->keep_alive = false;
		client_refuse(
		    c, 408, "request_timeout", "the request came too slowly");
	}
}

static void
conn_begin(struct client_conn *c, struct listener *listener, int fd)
{
	static const struct stream_ops ops = { on_readable, on_writable,
		on_failed };
	struct proxyd *d = listener->d;

	c->d = d;
	c->listener = listener;
	// A head that is incomplete, or one read behind the limit.
	buf_init(&c->in, PIPELINED_MAX + SCRATCH_BYTES);
	stream_init(&c->stream, d->base, fd, &ops, c);
	c->stream.write_timeout = d->timeouts.answer;
	TAILQ_INSERT_TAIL(&d->conns, c, entry);
}

int
client_conn_new(struct listener *listener, int fd, const struct sockaddr *from,
    const struct party_id *holder)
{
	struct proxyd *d = listener->d;
	struct client_conn *c = calloc(1, sizeof(*c));

	if (c == NULL || seat_take(&d->seats, &c->seat, holder) < 0) {
		free(c);
		return -ENOMEM;
	}
	party_id_of_socket(&c->from, fd, from);
	conn_begin(c, listener, fd);
	d->n_conns++;
	stream_read_start(&c->stream, d->timeouts.keep_alive);
	return 0;
}

void
client_conn_refuse(struct listener *listener, int fd, const char *answer)
{
	struct proxyd *d = listener->d;
	struct client_conn *c = NULL;

	// Whatever becomes of it: the connection is closed anyway.
	(void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (d->n_refused < REFUSED_MAX)
		c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)close(fd);
		return;
	}
	c->is_refused = true;
	d->n_refused++;
	conn_begin(c, listener, fd);
	conn_drain(c);
}

void
client_conns_close_idle(struct proxyd *d)
{
	struct client_conn *c, *next;

	for (c = TAILQ_FIRST(&d->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->req == NULL)
			client_conn_close(c);
	}
}

void
client_conns_stop(struct proxyd *d)
{
	struct client_conn *c, *next;

	for (c = TAILQ_FIRST(&d->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->req != NULL)
			request_stop(c->req);
	}
}

void
client_conns_close_all(struct proxyd *d)
{
	struct client_conn *c;

	while ((c = TAILQ_FIRST(&d->conns)) != NULL)
		client_conn_close(c);
}
