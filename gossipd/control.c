// Control streams: a type byte and one frame with a 32-bit length, in either
// direction (wire-v1, section 2.1).  Everything here is chosen by a peer:
// the number of streams, the bytes held and the time are bounded, and memory
// grows with what arrived, never with what was announced.
#include "gossipd/gossipd.h"

#include <string.h>

#include "common/log.h"

enum { FIRST_ALLOC = 4096 };

void
gstream_set_deadline(struct gstream *g, uint64_t at_ms)
{
	struct gossipd *d = g->link->daemon;

	if (g->deadline_ms != 0)
		TAILQ_REMOVE(&d->waiting, g, entry);
	g->deadline_ms = at_ms;
	if (at_ms != 0)
		TAILQ_INSERT_TAIL(&d->waiting, g, entry);
}

static void
control_drop_bytes(struct control *c)
{
	c->base.link->daemon->control_bytes -= c->size;
	free(c->bytes);
	c->bytes = NULL;
	c->size = c->have = 0;
}

static void
control_free(struct control *c)
{
	struct link *link = c->base.link;

	gstream_set_deadline(&c->base, 0);
	if (c->base.stream != NULL)
		quic_stream_set_data(c->base.stream, NULL);
	control_drop_bytes(c);
	link->n_control--;
	mesh_drop_link_if_unused(link);
	free(c);
}

static int
control_new(struct link *link, enum gstream_kind kind,
    struct quic_stream *stream, unsigned deadline_ms, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->base.kind = kind;
	c->base.link = link;
	c->base.stream = stream;
	link->n_control++;
	gstream_set_deadline(&c->base, clock_mono_ms() + deadline_ms);
	quic_stream_set_data(stream, c);
	if (ret != NULL)
		*ret = c;
	return 0;
}

void
control_log_refusal(struct link *link, uint8_t type, const char *reason)
{
	uint64_t now = clock_mono_ms();

	if (now - link->refused_since_ms > REFUSAL_WINDOW_MS) {
		if (link->n_refused > REFUSALS_LOGGED)
			LOG(LOG_WARNING, "streams-refused",
			    F("peer", log_peer(link->id)),
			    F("count", link->n_refused));
		link->refused_since_ms = now;
		link->n_refused = 0;
	}
	if (link->n_refused++ < REFUSALS_LOGGED)
		LOG(LOG_INFO, "stream-refused", F("peer", log_peer(link->id)),
		    F("type", type), F("reason", reason));
}

// The stream goes, silently: a peer that breaks the format gets no hint.
static void
control_refuse(struct control *c, const char *reason)
{
	struct quic_stream *stream = c->base.stream;

	control_log_refusal(c->base.link, c->type, reason);
	control_free(c);
	if (stream != NULL)
		quic_stream_abort(stream);
}

void
control_opened(struct link *link, struct quic_stream *stream)
{
	// The type byte is awaited for a while only; until it is there the
	// stream costs this one record.
	if (control_new(link, GSTREAM_NEW, stream, CONTROL_DEADLINE_MS, NULL) <
	    0)
		quic_stream_abort(stream);
}

static int
control_grow(struct control *c, size_t need)
{
	struct gossipd *d = c->base.link->daemon;
	size_t size = c->size == 0 ? FIRST_ALLOC : c->size;
	uint8_t *p;

	while (size < need)
		size *= 2;
	if (size > c->want)
		size = c->want;
	if (size <= c->size)
		return 0;
	if (size - c->size > CONTROL_BYTES_MAX - d->control_bytes)
		return -ENOBUFS;
	if ((p = realloc(c->bytes, size)) == NULL)
		return -ENOMEM;
	d->control_bytes += size - c->size;
	c->bytes = p;
	c->size = size;
	return 0;
}

// Returns how many bytes of data were used, or -errno.
static ssize_t
control_collect(struct control *c, const uint8_t *data, size_t len)
{
	size_t used = 0, n;
	int r;

	while (c->have_prefix < 4 && used < len) {
		c->prefix[c->have_prefix++] = data[used++];
		if (c->have_prefix == 4)
			c->want = (size_t)c->prefix[0] |
			    (size_t)c->prefix[1] << 8 |
			    (size_t)c->prefix[2] << 16 |
			    (size_t)c->prefix[3] << 24;
	}
	if (c->have_prefix < 4)
		return (ssize_t)used;
	if (c->want > GOSSIP_FRAME_MAX)
		return -EMSGSIZE;
	n = len - used < c->want - c->have ? len - used : c->want - c->have;
	if (n != 0) {
		if ((r = control_grow(c, c->have + n)) < 0)
			return r;
		memcpy(c->bytes + c->have, data + used, n);
		c->have += n;
	}
	return (ssize_t)(used + n);
}

static bool
control_is_complete(const struct control *c)
{
	return c->have_prefix == 4 && c->have == c->want;
}

// A whole inbound frame: the core decides, its actions answer.
static void
control_deliver(struct control *c)
{
	struct link *link = c->base.link;
	struct gossipd *d = link->daemon;
	uint64_t now = clock_mono_ms();

	c->base.kind = GSTREAM_ANSWERED;
	gossip_on_frame(d->gossip, now, clock_unix_ms(), link->id, c->type,
	    c->base.stream, c->bytes, c->have);
	control_drop_bytes(c);
	gstream_set_deadline(&c->base, now + CONTROL_DEADLINE_MS);
	if (c->type == GOSSIP_FRAME_EXCHANGE &&
	    gossip_is_admitted(d->gossip, link->id))
		mesh_link_greeted(link);
	mesh_run_actions(d);
}

static void
exchange_done(struct control *c)
{
	struct link *link = c->base.link;
	struct gossipd *d = link->daemon;
	struct quic_stream *stream = c->base.stream;

	gossip_on_answer(d->gossip, clock_mono_ms(), clock_unix_ms(), link->id,
	    c->bytes, c->have);
	mesh_link_greeted(link);
	control_free(c);
	quic_stream_stop_reading(stream);
	mesh_run_actions(d);
}

static void
exchange_failed(struct control *c, const char *reason)
{
	struct gossipd *d = c->base.link->daemon;
	uint8_t id[ENDPOINT_ID_LEN];

	memcpy(id, c->base.link->id, sizeof(id));
	control_refuse(c, reason);
	gossip_on_exchange_failed(d->gossip, clock_mono_ms(), id);
	mesh_run_actions(d);
}

static void
control_give_up(struct control *c, const char *reason)
{
	if (c->base.kind == GSTREAM_EXCHANGE)
		exchange_failed(c, reason);
	else
		control_refuse(c, reason);
}

static bool
needs_admission(uint8_t type)
{
	return type != GOSSIP_FRAME_EXCHANGE && type != GOSSIP_FRAME_ROUTES;
}

typedef int accept_fn(struct link *, struct quic_stream *, const uint8_t *first,
    size_t len, bool fin);

static void
hand_over(struct control *c, accept_fn *accept, const uint8_t *data, size_t len,
    bool fin)
{
	struct link *link = c->base.link;
	struct quic_stream *stream = c->base.stream;
	int r;

	r = accept(link, stream, data, len, fin);
	if (r < 0) {
		control_give_up(c, strerrorname_np(-r));
		return;
	}
	c->base.stream = NULL; // no longer ours
	control_free(c);
}

// The first byte says what the stream is for.
static void
control_typed(struct control *c, const uint8_t *data, size_t len, bool fin)
{
	struct link *link = c->base.link;

	c->type = data[0];
	if (needs_admission(c->type) &&
	    !gossip_is_admitted(link->daemon->gossip, link->id)) {
		control_refuse(c, "not admitted");
		return;
	}
	switch (c->type) {
	case 0x04:
		hand_over(c, tunnel_accept, data + 1, len - 1, fin);
		return;
	case EVIDENCE_STREAM_TYPE:
		// Of others it is an unknown type, as theirs would be to us.
		if (!mesh_is_our_dialect(link->daemon, link->id)) {
			control_refuse(c, "unknown stream type");
			return;
		}
		quic_stream_consumed(c->base.stream, len - 1);
		hand_over(c, evidence_accept, data + 1, len - 1, fin);
		return;
	case GOSSIP_FRAME_EXCHANGE:
	case GOSSIP_FRAME_TUNNEL_MAP:
	case GOSSIP_FRAME_ROUTES:
	case GOSSIP_FRAME_PEER_DOWN:
	case GOSSIP_FRAME_PEER_LEAVING:
		if (link->n_control > CONTROL_PER_PEER_MAX) {
			control_refuse(c, "too many control streams");
			return;
		}
		c->base.kind = GSTREAM_CONTROL;
		control_data(&c->base, data + 1, len - 1, fin);
		return;
	default:
		control_refuse(c, "unknown stream type");
	}
}

// Our FIN and no more.  Also the answer to a stream on which nothing was
// said: the reference's way to see whether we live.
static void
control_end_quietly(struct control *c)
{
	struct quic_stream *stream = c->base.stream;

	control_free(c);
	quic_stream_finish(stream);
}

void
control_data(struct gstream *g, const uint8_t *data, size_t len, bool fin)
{
	struct control *c = (struct control *)g;
	ssize_t used;

	if (g->kind == GSTREAM_NEW && len != 0) {
		// Credit for the type byte; the rest is counted below.
		quic_stream_consumed(g->stream, 1);
		control_typed(c, data, len, fin);
		return;
	}
	if (g->kind == GSTREAM_NEW) {
		if (fin)
			control_end_quietly(c);
		return;
	}
	quic_stream_consumed(g->stream, len);
	if (g->kind != GSTREAM_CONTROL && g->kind != GSTREAM_EXCHANGE)
		return; // bytes after the frame carry no meaning
	used = control_collect(c, data, len);
	if (used < 0)
		control_give_up(c,
		    used == -EMSGSIZE ? "frame over 8 MiB"
				      : "no memory for frames");
	else if (control_is_complete(c) && g->kind == GSTREAM_CONTROL)
		control_deliver(c);
	else if (control_is_complete(c))
		exchange_done(c);
	else if (fin)
		control_give_up(c, "ends within the frame");
}

static void
probe_result(struct control *c, bool alive)
{
	struct gossipd *d = c->base.link->daemon;
	uint8_t id[ENDPOINT_ID_LEN];

	memcpy(id, c->base.link->id, sizeof(id));
	control_free(c);
	gossip_on_probe(d->gossip, clock_mono_ms(), id, alive);
	mesh_run_actions(d);
}

void
control_closed(struct gstream *g)
{
	struct control *c = (struct control *)g;
	struct link *link = g->link;

	g->stream = NULL;
	if (g->kind == GSTREAM_EXCHANGE)
		exchange_failed(c, "closed before the answer");
	else if (g->kind == GSTREAM_PROBE)
		probe_result(c, link->conn != NULL);
	else
		control_free(c);
}

void
control_expire(struct gossipd *d, uint64_t now_ms)
{
	struct gstream *g;

	// Deadlines differ little between kinds: the list is nearly sorted,
	// and what is late by one tick is late by a second.
	while ((g = TAILQ_FIRST(&d->waiting)) != NULL &&
	    g->deadline_ms <= now_ms) {
		struct quic_stream *stream = g->stream;

		if (g->kind == GSTREAM_EVIDENCE) {
			evidence_expired(g);
			continue;
		}
		if (g->kind != GSTREAM_PROBE) {
			control_give_up((struct control *)g, "timeout");
			continue;
		}
		probe_result((struct control *)g, false);
		quic_stream_abort(stream);
	}
}

static int
control_open(struct link *link, enum gstream_kind kind, unsigned deadline_ms,
    struct control **ret)
{
	struct quic_stream *stream;
	int r;

	if (link->conn == NULL)
		return -ENOTCONN;
	if ((r = quic_stream_open(link->conn, &stream)) < 0)
		return r;
	r = control_new(link, kind, stream, deadline_ms, ret);
	if (r < 0)
		quic_stream_abort(stream);
	return r;
}

static int
control_send(struct control *c, uint8_t type, const uint8_t *frame, size_t len)
{
	struct quic_stream *stream = c->base.stream;
	int r;

	c->type = type;
	r = quic_stream_write(stream, &type, 1);
	if (r == 0)
		r = quic_stream_write(stream, frame, len);
	if (r == 0) {
		quic_stream_finish(stream);
		return 0;
	}
	control_free(c);
	quic_stream_abort(stream);
	return r;
}

int
control_exchange(
    struct link *link, const uint8_t *frame, size_t len, unsigned deadline_ms)
{
	struct control *c;
	int r;

	r = control_open(link, GSTREAM_EXCHANGE, deadline_ms, &c);
	if (r < 0)
		return r;
	return control_send(c, GOSSIP_FRAME_EXCHANGE, frame, len);
}

int
control_notice(
    struct link *link, uint8_t type, const uint8_t *frame, size_t len)
{
	struct control *c;
	int r;

	r = control_open(link, GSTREAM_NOTICE, CONTROL_DEADLINE_MS, &c);
	if (r < 0)
		return r;
	return control_send(c, type, frame, len);
}

int
control_probe(struct link *link, unsigned deadline_ms)
{
	struct control *c;
	int r;

	r = control_open(link, GSTREAM_PROBE, deadline_ms, &c);
	if (r == 0)
		quic_stream_finish(c->base.stream);
	return r;
}

static bool
is_notice(uint8_t type)
{
	return type != GOSSIP_FRAME_EXCHANGE && type != GOSSIP_FRAME_ROUTES;
}

// frame NULL: nothing comes back, as is right after a notice.
void
control_answer(struct quic_stream *stream, const uint8_t *frame, size_t len)
{
	struct gstream *g = quic_stream_data(stream);
	struct control *c = (struct control *)g;

	if (g == NULL || g->kind != GSTREAM_ANSWERED)
		return;
	if (frame == NULL && is_notice(c->type))
		control_end_quietly(c);
	else if (frame == NULL)
		control_refuse(c, "frame refused");
	else if (quic_stream_write(stream, frame, len) < 0)
		control_refuse(c, "answer not sent");
	else
		quic_stream_finish(stream);
}
