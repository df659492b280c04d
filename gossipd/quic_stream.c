// Byte streams: send buffers that stay in place until acknowledged, their
// limits, credit for what the application used up, aborts.  A peer can make
// a stream hold at most one window of received bytes (they are handed over
// at once) and, by not acknowledging, what the application wrote.  Wakes the
// application only at the end of the loop turn.
#include "gossipd/quic_internal.h"

#include <assert.h>
#include <string.h>

// ---- lists

static struct quic_link *
live_link(const struct quic_stream *s)
{
	struct quic_link *l = s->conn->link;

	if (l == NULL || s->over || s->conn->over || s->conn->in_ending)
		return NULL;
	return l;
}

static void
set_ready(struct quic_stream *s)
{
	struct quic_link *l = live_link(s);

	if (l == NULL || s->write_dead || s->blocked)
		return;
	if (s->sent == s->end && !(s->finished && !s->fin_sent))
		return;
	if (!s->in_ready) {
		s->in_ready = true;
		TAILQ_INSERT_TAIL(&s->conn->ready, s, ready);
	}
	quic_link_mark(l);
}

static void
clear_ready(struct quic_stream *s)
{
	if (s->in_ready)
		TAILQ_REMOVE(&s->conn->ready, s, ready);
	s->in_ready = false;
}

static void
notify(struct quic_stream *s)
{
	struct quic *q = s->conn->q;

	if (!s->in_notify)
		TAILQ_INSERT_TAIL(&q->notify, s, notify);
	s->in_notify = true;
	quic_flush_soon(q);
}

static void
clear_starved(struct quic_stream *s)
{
	if (s->in_starved)
		TAILQ_REMOVE(&s->conn->q->starved, s, starved);
	s->in_starved = false;
}

static void
clear_reserved(struct quic_stream *s)
{
	if (s->in_reserved)
		TAILQ_REMOVE(&s->conn->q->reserved, s, reserved);
	s->in_reserved = false;
}

static void
unlist(struct quic_stream *s)
{
	clear_ready(s);
	clear_starved(s);
	clear_reserved(s);
	if (s->in_notify)
		TAILQ_REMOVE(&s->conn->q->notify, s, notify);
	s->in_notify = false;
}

// ---- life

static struct quic_stream *
stream_new(struct quic_conn *c, int64_t id, bool is_ours)
{
	struct quic_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->conn = c;
	s->id = id;
	s->is_ours = is_ours;
	TAILQ_INSERT_TAIL(&c->streams, s, all);
	c->q->stats.streams++;
	return s;
}

static void
stream_free(struct quic_stream *s)
{
	unlist(s);
	quic_buffer_discard(s);
	TAILQ_REMOVE(&s->conn->streams, s, all);
	s->conn->q->stats.streams--;
	free(s);
}

int
quic_stream_open(struct quic_conn *c, struct quic_stream **ret)
{
	struct quic_stream *s;
	int64_t id;

	if (!quic_conn_is_up(c) || c->over)
		return -EPIPE;
	if ((s = stream_new(c, -1, true)) == NULL)
		return -ENOMEM;
	switch (ngtcp2_conn_open_bidi_stream(c->link->ng, &id, s)) {
	case 0:
		s->id = id;
		*ret = s;
		return 0;
	case NGTCP2_ERR_STREAM_ID_BLOCKED:
		stream_free(s);
		return -EAGAIN;
	default:
		stream_free(s);
		return -ENOMEM;
	}
}

int
quic_stream_accept(struct quic_conn *c, int64_t id, struct quic_stream **ret)
{
	if ((*ret = stream_new(c, id, false)) == NULL)
		return -ENOMEM;
	return 0;
}

// Credit of the connection for what nobody will say quic_stream_consumed of.
static void
return_credit(struct quic_stream *s)
{
	struct quic_link *l = s->conn->link;

	if (l != NULL && l->ng != NULL && s->unconsumed > 0) {
		ngtcp2_conn_extend_max_offset(l->ng, s->unconsumed);
		quic_link_mark(l);
	}
	s->unconsumed = 0;
}

static void
tell_aborted(struct quic_stream *s)
{
	const struct quic_config *config = &s->conn->q->config;

	if (s->aborted || s->abandoned)
		return;
	s->aborted = true;
	config->callbacks.stream_aborted(config->arg, s);
}

void
quic_stream_over(struct quic_stream *s, bool by_error)
{
	const struct quic_config *config = &s->conn->q->config;

	// A STOP_SENDING is first heard of here when we had nothing to send.
	if (by_error || s->abort_due)
		tell_aborted(s);
	return_credit(s);
	unlist(s);
	s->over = true;
	config->callbacks.stream_closed(config->arg, s);
	stream_free(s);
}

// ---- receiving

void
quic_stream_received(
    struct quic_stream *s, const uint8_t *data, size_t len, bool fin)
{
	const struct quic_config *config = &s->conn->q->config;

	s->unconsumed += len;
	if (s->read_dead || live_link(s) == NULL) {
		return_credit(s);
		return;
	}
	config->callbacks.stream_data(config->arg, s, data, len, fin);
}

void
quic_stream_consumed(struct quic_stream *s, size_t n)
{
	struct quic_link *l = s->conn->link;

	if (n > s->unconsumed)
		n = (size_t)s->unconsumed;
	if (n == 0 || l == NULL || l->ng == NULL)
		return;
	s->unconsumed -= n;
	(void)ngtcp2_conn_extend_max_stream_offset(l->ng, s->id, n);
	ngtcp2_conn_extend_max_offset(l->ng, n);
	// Small amounts travel with the next packet.
	l->credit += n;
	if (l->credit >= QUIC_CREDIT_FLUSH)
		quic_link_mark(l);
}

void
quic_stream_stop_reading(struct quic_stream *s)
{
	struct quic_link *l = live_link(s);

	if (s->read_dead)
		return;
	s->read_dead = true;
	return_credit(s);
	if (l == NULL)
		return;
	(void)ngtcp2_conn_shutdown_stream_read(l->ng, 0, s->id, 0);
	quic_link_mark(l);
}

// ---- the end of writing

static void
stop_writing(struct quic_stream *s)
{
	s->write_dead = true;
	s->want_room = false;
	clear_ready(s);
	clear_starved(s);
	clear_reserved(s);
}

// ngtcp2 sends nothing of a stream again once it is reset (it checks before
// it touches the data), so the buffers can go at once.
static void
shut_both(struct quic_stream *s)
{
	struct quic_link *l = live_link(s);

	stop_writing(s);
	s->read_dead = true;
	return_credit(s);
	if (l == NULL)
		return;
	(void)ngtcp2_conn_shutdown_stream(l->ng, 0, s->id, 0);
	quic_buffer_discard(s);
	quic_link_mark(l);
}

void
quic_stream_abort(struct quic_stream *s)
{
	s->abandoned = true;
	shut_both(s);
}

static void
abort_soon(struct quic_stream *s)
{
	if (s->abort_due || s->aborted || s->abandoned)
		return;
	s->abort_due = true;
	notify(s);
}

void
quic_stream_was_reset(struct quic_stream *s)
{
	// What we stopped reading ourselves is answered so.
	if (s->read_dead)
		return;
	s->read_dead = true;
	abort_soon(s);
}

void
quic_stream_write_died(struct quic_stream *s)
{
	stop_writing(s);
	abort_soon(s);
}

// ---- writing

static bool
may_write(struct quic_stream *s)
{
	if (s->write_dead && !s->abandoned)
		abort_soon(s);
	return !s->write_dead && !s->finished && live_link(s) != NULL;
}

static bool
has_room(const struct quic_stream *s)
{
	return s->end - s->acked < QUIC_SEND_HIGH;
}

// An unused block must not stay on a quiet stream: seen at the end of turn.
static void
set_reserved(struct quic_stream *s)
{
	struct quic *q = s->conn->q;

	if (!s->in_reserved)
		TAILQ_INSERT_TAIL(&q->reserved, s, reserved);
	s->in_reserved = true;
	quic_flush_soon(q);
}

uint8_t *
quic_stream_reserve(struct quic_stream *s, size_t *ret_len)
{
	struct quic *q = s->conn->q;
	struct quic_block *b;

	if (!may_write(s))
		return NULL;
	s->want_room = !has_room(s);
	if (s->want_room)
		return NULL;
	if (s->tail == NULL || s->tail->used == QUIC_BLOCK_ROOM) {
		b = q->buffered < QUIC_TOTAL_RESERVE ? quic_block_get(q) : NULL;
		if (b == NULL) {
			s->want_room = true;
			if (!s->in_starved)
				TAILQ_INSERT_TAIL(&q->starved, s, starved);
			s->in_starved = true;
			return NULL;
		}
		quic_buffer_append(s, b);
	}
	set_reserved(s);
	*ret_len = QUIC_BLOCK_ROOM - s->tail->used;
	return s->tail->bytes + s->tail->used;
}

void
quic_stream_commit(struct quic_stream *s, size_t len)
{
	if (!may_write(s) || s->tail == NULL ||
	    len > QUIC_BLOCK_ROOM - s->tail->used)
		return;
	s->tail->used += len;
	s->end += len;
	set_ready(s);
}

int
quic_stream_write(struct quic_stream *s, const uint8_t *data, size_t len)
{
	size_t room, n;
	struct quic_block *chain = NULL, *b;

	if (!may_write(s))
		return -EPIPE;
	if (s->end - s->acked + len > QUIC_WRITE_MAX + QUIC_SEND_HIGH)
		return -ENOBUFS;
	room = s->tail == NULL ? 0 : QUIC_BLOCK_ROOM - s->tail->used;
	if (len > room &&
	    (chain = quic_blocks_get(s->conn->q, len - room)) == NULL)
		return -ENOBUFS;
	while (len > 0) {
		if (s->tail == NULL || s->tail->used == QUIC_BLOCK_ROOM) {
			b = chain;
			assert(b != NULL); // as many as len needs
			chain = b->next;
			b->next = NULL;
			quic_buffer_append(s, b);
		}
		n = QUIC_BLOCK_ROOM - s->tail->used;
		n = len < n ? len : n;
		memcpy(s->tail->bytes + s->tail->used, data, n);
		s->tail->used += n;
		s->end += n;
		data += n;
		len -= n;
	}
	set_ready(s);
	return 0;
}

void
quic_stream_finish(struct quic_stream *s)
{
	if (s->finished || s->write_dead)
		return;
	s->finished = true;
	s->want_room = false;
	set_ready(s);
}

// ---- what the writer of packets asks and tells

size_t
quic_stream_pending(
    const struct quic_stream *s, ngtcp2_vec *vec, size_t n_vec, bool *ret_fin)
{
	struct quic_block *b = s->cursor != NULL ? s->cursor : s->head;
	uint64_t at = s->sent;
	size_t n = 0, skip;

	for (; b != NULL && n < n_vec && at < s->end; b = b->next) {
		skip = (size_t)(at - b->start);
		if (skip >= b->used)
			continue;
		vec[n].base = b->bytes + skip;
		vec[n].len = b->used - skip;
		at += vec[n].len;
		n++;
	}
	*ret_fin = s->finished && at == s->end;
	return n;
}

void
quic_stream_sent(struct quic_stream *s, size_t len, bool fin)
{
	struct quic_block *b = s->cursor != NULL ? s->cursor : s->head;

	s->sent += len;
	if (fin && s->sent == s->end)
		s->fin_sent = true;
	while (b != NULL && b->next != NULL && b->next->start <= s->sent)
		b = b->next;
	s->cursor = b;
	// To the end of the line.
	clear_ready(s);
	set_ready(s);
}

void
quic_stream_block(struct quic_stream *s)
{
	s->blocked = true;
	clear_ready(s);
}

void
quic_stream_unblock(struct quic_stream *s)
{
	s->blocked = false;
	set_ready(s);
}

void
quic_stream_acked(struct quic_stream *s, uint64_t offset)
{
	if (offset > s->acked)
		s->acked = offset;
	quic_buffer_release(s);
	if (s->want_room && !s->in_starved && !s->write_dead &&
	    s->end - s->acked <= QUIC_SEND_LOW)
		notify(s);
}

// ---- the end of the loop turn

static void
deliver(struct quic_stream *s)
{
	const struct quic_config *config = &s->conn->q->config;

	if (s->conn->over || s->conn->in_ending)
		return;
	if (s->abort_due) {
		s->abort_due = false;
		tell_aborted(s);
		shut_both(s);
		return;
	}
	if (s->want_room && has_room(s)) {
		s->want_room = false;
		config->callbacks.stream_writable(config->arg, s);
	}
}

void
quic_streams_flush(struct quic *q)
{
	struct quic_stream *s;

	while ((s = TAILQ_FIRST(&q->reserved)) != NULL) {
		clear_reserved(s);
		quic_buffer_release(s);
	}
	while ((s = TAILQ_FIRST(&q->starved)) != NULL &&
	    q->buffered < QUIC_TOTAL_RESERVE - QUIC_SEND_HIGH) {
		clear_starved(s);
		notify(s);
	}
	while ((s = TAILQ_FIRST(&q->notify)) != NULL) {
		TAILQ_REMOVE(&q->notify, s, notify);
		s->in_notify = false;
		deliver(s);
	}
}

// ---- questions

struct quic_conn *
quic_stream_conn(const struct quic_stream *s)
{
	return s->conn;
}

void
quic_stream_set_data(struct quic_stream *s, void *data)
{
	s->data = data;
}

void *
quic_stream_data(const struct quic_stream *s)
{
	return s->data;
}

bool
quic_stream_is_ours(const struct quic_stream *s)
{
	return s->is_ours;
}
