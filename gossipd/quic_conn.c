// Connections as the application sees them: dialling several addresses,
// coming up, ending with one callback.  Nothing here parses; the peer's key
// was proven by TLS before quic_conn_established.
#include "gossipd/quic_internal.h"

#include <stdio.h>
#include <string.h>

static struct quic_conn *
conn_new(struct quic *q, bool outbound)
{
	struct quic_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->q = q;
	c->outbound = outbound;
	TAILQ_INIT(&c->attempts);
	TAILQ_INIT(&c->streams);
	TAILQ_INIT(&c->ready);
	TAILQ_INSERT_TAIL(&q->conns, c, all);
	q->stats.conns++;
	return c;
}

static void
conn_free(struct quic_conn *c)
{
	if (c->addrs != NULL)
		(void)event_del(&c->dial_timer);
	if (c->in_ending)
		TAILQ_REMOVE(&c->q->ending, c, ending);
	TAILQ_REMOVE(&c->q->conns, c, all);
	c->q->stats.conns--;
	free(c->addrs);
	free(c);
}

// ---- the end

void
quic_conn_end_soon(struct quic_conn *c, enum quic_close_reason reason)
{
	if (c->in_ending || c->over)
		return;
	c->end_reason = reason;
	c->in_ending = true;
	TAILQ_INSERT_TAIL(&c->q->ending, c, ending);
	quic_flush_soon(c->q);
}

// Links that lost: closed at the end of the turn, since ngtcp2 may be
// working on one of them now.
static void
drop_attempts(struct quic_conn *c, const struct quic_link *winner)
{
	struct quic_link *l;

	while ((l = TAILQ_FIRST(&c->attempts)) != NULL) {
		TAILQ_REMOVE(&c->attempts, l, attempt);
		l->in_attempts = false;
		if (l == winner)
			continue;
		l->conn = NULL;
		l->close_due = true;
		quic_link_mark(l);
	}
}

// Its link is gone: the callbacks, then the memory.
static void
report_closed(
    struct quic_conn *c, enum quic_close_reason reason, const char *detail)
{
	const struct quic_callbacks *cb = &c->q->config.callbacks;

	c->over = true;
	while (!TAILQ_EMPTY(&c->streams))
		quic_stream_over(TAILQ_FIRST(&c->streams), false);
	cb->conn_closed(c->q->config.arg, c, reason, detail);
	conn_free(c);
}

void
quic_conn_finish(struct quic_conn *c)
{
	struct quic_link *l = c->link;
	ngtcp2_ccerr e;

	drop_attempts(c, NULL);
	if (l == NULL) {
		report_closed(c, c->end_reason, c->detail);
		return;
	}
	// What was written before the close still leaves, as far as it may.
	if (!l->socket->blocked && !quic_link_write(l))
		return; // which reported the end
	ngtcp2_ccerr_set_application_error(&e, c->close_code,
	    (const uint8_t *)c->close_reason, strlen(c->close_reason));
	quic_link_end(l, QUIC_CLOSED_LOCAL, c->close_reason, &e);
}

void
quic_conn_close(struct quic_conn *c, uint64_t app_error, const char *reason)
{
	if (c->in_ending || c->over)
		return;
	c->close_code = app_error;
	if (reason != NULL)
		(void)snprintf(
		    c->close_reason, sizeof(c->close_reason), "%s", reason);
	(void)snprintf(c->detail, sizeof(c->detail), "%s", c->close_reason);
	quic_conn_end_soon(c, QUIC_CLOSED_LOCAL);
}

// ---- dialling

static void
arm_dial(struct quic_conn *c, ngtcp2_duration wait)
{
	struct timeval tv = {
		.tv_sec = (time_t)(wait / NGTCP2_SECONDS),
		.tv_usec = (suseconds_t)(wait % NGTCP2_SECONDS / 1000),
	};

	(void)event_add(&c->dial_timer, &tv);
}

// Starts the next address; the one after it follows soon, unless this one
// is faster (RFC 8305 in spirit).
static void
dial_next(struct quic_conn *c)
{
	const ngtcp2_duration step = QUIC_DIAL_NEXT_MS * NGTCP2_MILLISECONDS;
	ngtcp2_tstamp now = quic_now();
	ngtcp2_duration left = c->deadline > now ? c->deadline - now : 0;
	bool started = false;
	int r;

	while (left > 0 && !started && c->next_addr < c->n_addrs) {
		r = quic_link_dial(c, &c->addrs[c->next_addr++], left);
		started = r == 0;
		if (r < 0)
			(void)snprintf(c->detail, sizeof(c->detail),
			    "cannot dial: %s", strerror(-r));
	}
	if (left == 0 || TAILQ_EMPTY(&c->attempts)) {
		if (c->detail[0] == '\0')
			(void)snprintf(
			    c->detail, sizeof(c->detail), "no answer in time");
		quic_conn_end_soon(c, QUIC_CLOSED_HANDSHAKE);
		return;
	}
	if (c->next_addr < c->n_addrs && left > step)
		left = step;
	arm_dial(c, left);
}

static void
on_dial_timer(evutil_socket_t fd, short what, void *arg)
{
	struct quic_conn *c = arg;

	(void)fd;
	(void)what;
	if (c->link == NULL && !c->in_ending)
		dial_next(c);
}

int
quic_dial(struct quic *q, const uint8_t id[static ENDPOINT_ID_LEN],
    const struct address *addrs, size_t n_addrs, unsigned deadline_ms,
    struct quic_conn **ret)
{
	struct quic_conn *c;

	if (n_addrs == 0)
		return -EINVAL;
	if (n_addrs > QUIC_DIAL_ADDRS_MAX)
		n_addrs = QUIC_DIAL_ADDRS_MAX;
	if (q->closing || q->stats.conns >= q->config.max_conns)
		return -ENOBUFS;
	if ((c = conn_new(q, true)) == NULL)
		return -ENOMEM;
	evtimer_assign(&c->dial_timer, q->config.base, on_dial_timer, c);
	if ((c->addrs = calloc(n_addrs, sizeof(*addrs))) == NULL) {
		conn_free(c);
		return -ENOMEM;
	}
	memcpy(c->addrs, addrs, n_addrs * sizeof(*addrs));
	c->n_addrs = n_addrs;
	c->remote = addrs[0];
	memcpy(c->peer, id, ENDPOINT_ID_LEN);
	c->deadline = quic_now() + deadline_ms * NGTCP2_MILLISECONDS;
	dial_next(c);
	*ret = c;
	return 0;
}

// ---- what happens to its link

int
quic_conn_established(struct quic_link *l)
{
	struct quic *q = l->q;
	struct quic_conn *c = l->conn;

	if (l->outbound) {
		// Lost the race, or given up, in this very turn.
		if (c == NULL || c->in_ending)
			return -ECANCELED;
		drop_attempts(c, l);
		(void)event_del(&c->dial_timer);
		c->detail[0] = '\0';
	} else {
		if (q->stats.conns >= q->config.max_conns)
			return -EMFILE;
		if ((c = conn_new(q, false)) == NULL)
			return -ENOMEM;
		l->conn = c;
		memcpy(c->peer, l->peer, ENDPOINT_ID_LEN);
	}
	c->link = l;
	q->config.callbacks.conn_up(q->config.arg, c);
	return 0;
}

void
quic_conn_link_ended(struct quic_conn *c, struct quic_link *l,
    enum quic_close_reason reason, const char *detail)
{
	quic_conn_remote(c, &c->remote);
	if (c->link == l) {
		c->link = NULL;
		report_closed(c, reason, detail);
		return;
	}
	TAILQ_REMOVE(&c->attempts, l, attempt);
	l->in_attempts = false;
	(void)snprintf(c->detail, sizeof(c->detail), "%s", detail);
	// No use in waiting for the rest of the step.
	if (!c->in_ending && c->next_addr < c->n_addrs)
		dial_next(c);
	else if (TAILQ_EMPTY(&c->attempts))
		quic_conn_end_soon(c, QUIC_CLOSED_HANDSHAKE);
}

// ---- questions

const uint8_t *
quic_conn_peer(const struct quic_conn *c)
{
	return c->peer;
}

bool
quic_conn_is_up(const struct quic_conn *c)
{
	return c->link != NULL && !c->in_ending;
}

bool
quic_conn_is_outbound(const struct quic_conn *c)
{
	return c->outbound;
}

void
quic_conn_remote(const struct quic_conn *c, struct address *ret)
{
	const ngtcp2_path *p;

	*ret = c->remote;
	if (c->link == NULL || c->link->ng == NULL)
		return;
	p = ngtcp2_conn_get_path(c->link->ng);
	ret->len = p->remote.addrlen;
	memcpy(&ret->sa, p->remote.addr, p->remote.addrlen);
}

uint32_t
quic_conn_rtt_us(const struct quic_conn *c)
{
	ngtcp2_conn_info info;
	uint64_t us;

	if (c->link == NULL || c->link->ng == NULL)
		return 0;
	ngtcp2_conn_get_conn_info(c->link->ng, &info);
	us = info.smoothed_rtt / NGTCP2_MICROSECONDS;
	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void
quic_conn_set_data(struct quic_conn *c, void *data)
{
	c->data = data;
}

void *
quic_conn_data(const struct quic_conn *c)
{
	return c->data;
}
