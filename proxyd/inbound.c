// The tunnels that peers open to us: read, ended and counted.  What comes is
// trusted with nothing; what is wrong before a request could be opened is
// dropped without a word.
#include "proxyd/inbound.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "proxyd/inbound_state.h"
#include "proxyd/metrics.h"

enum { FIRST_READS_MAX = 8 }; // of what is there when the tunnel comes

static void
inbound_free(struct reap *reap)
{
	struct inbound *in =
	    (struct inbound *)((char *)reap - offsetof(struct inbound, reap));

	sodium_memzero(in, sizeof(*in));
	free(in);
}

// For the opener this is an abort, unless the answer was shut before.
void
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
	inbound_drop_envelope(in);
	buf_release(&in->head);
	TAILQ_REMOVE(&in->d->inbounds, in, entry);
	in->d->n_inbounds--;
	reaper_take(&in->d->reaper, &in->reap, inbound_free);
}

void
inbound_drop(struct inbound *in, const char *reason)
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

void
inbound_request_ended(void *front, enum request_end how)
{
	struct inbound *in = front;

	in->req = NULL;
	inbound_drop_envelope(in);
	if (how == REQUEST_BROKEN)
		inbound_close(in);
	else if (stream_is_blocked(&in->stream))
		in->state = INBOUND_FLUSH;
	else
		shut(in);
}

// ---- the loop

static void
feed(struct inbound *in, const uint8_t *bytes, size_t n)
{
	if (in->state == INBOUND_MARK) {
		if (bytes[0] == SEALED_MARK) {
			inbound_begin_sealed(in, bytes, n);
			return;
		}
		if (!in->d->config->plaintext_allowed) {
			inbound_refuse_plain(in);
			return;
		}
		in->state = INBOUND_HEAD;
	}
	if (in->state == INBOUND_HEAD)
		inbound_feed_head(in, bytes, n);
	else if (in->state == INBOUND_BODY)
		inbound_feed_plain(in, bytes, n);
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
		inbound_envelope_complete(in);
		break;
	case INBOUND_MARK:
	case INBOUND_HEAD:
	case INBOUND_BODY:
		inbound_drop(in, "the request ends too early");
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

	n = is_envelope ? inbound_read_envelope(in)
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
	struct inbound *in = arg;

	(void)s;
	if (!in->at_end)
		in->heard_ms = clock_boot_ms();
	(void)read_once(in);
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
		inbound_drop(in,
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
inbound_new(struct proxyd *d, const uint8_t peer_id[static ENDPOINT_ID_LEN],
    uint64_t came_ms, int tunnel)
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
	in->heard_ms = came_ms;
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
