// The endpoint: gives each datagram to its link, admits new ones within the
// limits, answers what belongs to nobody (Retry, Version Negotiation,
// stateless reset, refusal) without keeping state, and runs everything that
// was put off to the end of the loop turn.  Trusts no byte of a datagram and
// no source address before a Retry or a handshake proved it.
#include "gossipd/quic_internal.h"

#include <string.h>

enum {
	MAX_CONNS = 512,
	MAX_HALF_OPEN = 256,
	MAX_PER_ADDRESS = 64,
	MAX_STREAMS = 1024,
	TOKEN_SECONDS = 10,
	RESET_LEN_MIN = 21, // RFC 9000, section 10.3
	RESET_LEN_MAX = 43,
};

// ---- answers without state

// Many forged datagrams must not make us a source of traffic.
static bool
may_answer(struct quic *q)
{
	const uint64_t full = 1000ull * QUIC_STATELESS_BURST;
	ngtcp2_tstamp now = quic_now();
	uint64_t gained = (now - q->stateless_ts) / NGTCP2_MILLISECONDS *
	    QUIC_STATELESS_PER_S;

	if (gained > 0) {
		q->stateless_budget += gained;
		q->stateless_ts = now;
	}
	if (q->stateless_budget > full)
		q->stateless_budget = full;
	if (q->stateless_budget < 1000)
		return false;
	q->stateless_budget -= 1000;
	return true;
}

struct datagram {
	struct quic_socket *socket;
	const struct address *local, *remote;
	uint8_t ecn;
	const uint8_t *data;
	size_t len;
};

static void
answer(const struct datagram *d, const uint8_t *packet, ngtcp2_ssize len)
{
	if (len > 0)
		quic_send_single(
		    d->socket, d->local, d->remote, packet, (size_t)len);
}

static void
send_versions(const struct datagram *d, const ngtcp2_version_cid *v)
{
	static const uint32_t versions[] = { NGTCP2_PROTO_VER_V1 };
	uint8_t packet[QUIC_PACKET_MAX];

	// Smaller ones would let us amplify (RFC 9000, section 6.1).
	if (d->len < NGTCP2_MAX_UDP_PAYLOAD_SIZE || !may_answer(d->socket->q))
		return;
	answer(d, packet,
	    ngtcp2_pkt_write_version_negotiation(packet, sizeof(packet),
		(uint8_t)randombytes_uniform(256), v->scid, v->scidlen, v->dcid,
		v->dcidlen, versions, N_ELEMENTS(versions)));
}

// Smaller than its cause, so that two endpoints cannot play ball with it.
static void
send_reset(const struct datagram *d, const ngtcp2_version_cid *v)
{
	struct quic *q = d->socket->q;
	uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
	uint8_t packet[RESET_LEN_MAX], noise[RESET_LEN_MAX];
	size_t len = d->len - 1 < RESET_LEN_MAX ? d->len - 1 : RESET_LEN_MAX;
	ngtcp2_cid cid;

	if (d->len <= RESET_LEN_MIN || !may_answer(q))
		return;
	ngtcp2_cid_init(&cid, v->dcid, v->dcidlen);
	if (ngtcp2_crypto_generate_stateless_reset_token(
		token, q->reset_key, sizeof(q->reset_key), &cid) != 0)
		return;
	randombytes_buf(noise, sizeof(noise));
	answer(d, packet,
	    ngtcp2_pkt_write_stateless_reset(
		packet, len, token, noise, len - sizeof(token)));
	q->stats.resets_sent++;
}

static void
send_refusal(const struct datagram *d, const ngtcp2_pkt_hd *h, uint64_t error)
{
	uint8_t packet[QUIC_PACKET_MAX];

	if (!may_answer(d->socket->q))
		return;
	answer(d, packet,
	    ngtcp2_crypto_write_connection_close(packet, sizeof(packet),
		h->version, &h->scid, &h->dcid, error, NULL, 0));
}

static void
send_retry(const struct datagram *d, const ngtcp2_pkt_hd *h)
{
	struct quic *q = d->socket->q;
	uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
	uint8_t packet[QUIC_PACKET_MAX];
	ngtcp2_cid scid = { .datalen = QUIC_CID_LEN };
	ngtcp2_ssize n;

	randombytes_buf(scid.data, QUIC_CID_LEN);
	n = ngtcp2_crypto_generate_retry_token2(token, q->token_key,
	    sizeof(q->token_key), h->version, &d->remote->sa, d->remote->len,
	    &scid, &h->dcid, quic_now());
	if (n < 0)
		return;
	answer(d, packet,
	    ngtcp2_crypto_write_retry(packet, sizeof(packet), h->version,
		&h->scid, &scid, &h->dcid, token, (size_t)n));
	q->stats.retries_sent++;
}

// ---- admission

// 0: no token or none of ours; 1: the address is proven; -EPERM.
static int
check_token(
    const struct datagram *d, const ngtcp2_pkt_hd *h, ngtcp2_cid *ret_original)
{
	struct quic *q = d->socket->q;

	if (h->tokenlen == 0 || h->token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2)
		return 0;
	if (ngtcp2_crypto_verify_retry_token2(ret_original, h->token,
		h->tokenlen, q->token_key, sizeof(q->token_key), h->version,
		&d->remote->sa, d->remote->len, &h->dcid,
		TOKEN_SECONDS * NGTCP2_SECONDS, quic_now()) != 0)
		return -EPERM;
	return 1;
}

// Addresses that are not proven may fill a quarter of each table: whoever
// forges them cannot lock out those that answer a Retry.
static bool
over(unsigned used, unsigned limit, bool proven)
{
	return used >= (proven ? limit : limit / 4);
}

static void
accept_link(const struct datagram *d)
{
	struct quic *q = d->socket->q;
	const struct quic_source *source;
	struct quic_link *l;
	struct quic_accept a = {
		.socket = d->socket, .local = d->local, .remote = d->remote
	};
	ngtcp2_pkt_hd h;
	ngtcp2_cid original;
	int proven;

	if (q->closing || ngtcp2_accept(&h, d->data, d->len) != 0 ||
	    h.version != NGTCP2_PROTO_VER_V1 ||
	    h.dcid.datalen < NGTCP2_MIN_INITIAL_DCIDLEN) {
		q->stats.datagrams_dropped++;
		return;
	}
	if ((proven = check_token(d, &h, &original)) < 0) {
		send_refusal(d, &h, NGTCP2_INVALID_TOKEN);
		return;
	}
	source = quic_source_find(q, d->remote);
	if (over(q->stats.half_open, q->config.max_half_open, proven) ||
	    (source != NULL &&
		over(source->half_open, q->config.max_conns_per_address,
		    proven))) {
		if (proven)
			q->stats.datagrams_dropped++;
		else
			send_retry(d, &h);
		return;
	}
	if (q->stats.conns + q->stats.half_open >= q->config.max_conns) {
		send_refusal(d, &h, NGTCP2_CONNECTION_REFUSED);
		return;
	}
	a.header = &h;
	a.original_dcid = proven ? &original : NULL;
	if (quic_link_accept(q, &a, &l) == 0)
		quic_link_input(
		    l, d->local, d->remote, d->ecn, d->data, d->len);
}

void
quic_input(struct quic_socket *s, const struct address *local,
    const struct address *remote, uint8_t ecn, const uint8_t *data, size_t len)
{
	const struct datagram d = { s, local, remote, ecn, data, len };
	struct quic *q = s->q;
	struct quic_link *l;
	ngtcp2_version_cid v;
	int r;

	q->stats.datagrams_in++;
	if (len == 0)
		return;
	r = ngtcp2_pkt_decode_version_cid(&v, data, len, QUIC_CID_LEN);
	if (r == NGTCP2_ERR_VERSION_NEGOTIATION) {
		send_versions(&d, &v);
		return;
	}
	if (r != 0) {
		q->stats.datagrams_dropped++;
		return;
	}
	l = quic_route_find(q, QUIC_ROUTE_CID, v.dcid, v.dcidlen);
	if (l == NULL && (data[0] & 0x80) == 0 &&
	    len >= NGTCP2_STATELESS_RESET_TOKENLEN)
		l = quic_route_find(q, QUIC_ROUTE_TOKEN,
		    data + len - NGTCP2_STATELESS_RESET_TOKENLEN,
		    NGTCP2_STATELESS_RESET_TOKENLEN);
	if (l != NULL)
		quic_link_input(l, local, remote, ecn, data, len);
	else if ((data[0] & 0x80) == 0)
		send_reset(&d, &v);
	else
		accept_link(&d);
}

// ---- the end of a loop turn

void
quic_flush_soon(struct quic *q)
{
	if (q->flushing_soon)
		return;
	q->flushing_soon = true;
	// Runs after all events of this turn: many small writes share one
	// packet and one system call.
	event_active(&q->flush, 0, 0);
}

static void
write_dirty(struct quic_socket *s)
{
	struct quic_link *l;
	ngtcp2_ccerr none;

	ngtcp2_ccerr_default(&none);
	while (!s->blocked && (l = TAILQ_FIRST(&s->dirty)) != NULL) {
		TAILQ_REMOVE(&s->dirty, l, dirty);
		l->in_dirty = false;
		if (l->close_due)
			quic_link_end(l, QUIC_CLOSED_LOCAL, "", &none);
		else
			(void)quic_link_write(l);
	}
}

void
quic_flush(struct quic *q)
{
	q->flushing_soon = false;
	quic_streams_flush(q);
	for (size_t i = 0; i < q->n_sockets; i++)
		write_dirty(&q->sockets[i]);
	while (!TAILQ_EMPTY(&q->ending))
		quic_conn_finish(TAILQ_FIRST(&q->ending));
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	quic_flush(arg);
}

// ---- life

static void
init_keys(struct quic *q)
{
	static const uint8_t reset[] = "mesh-llm quic stateless reset";
	static const uint8_t token[] = "mesh-llm quic retry token";

	randombytes_buf(q->hash_key, sizeof(q->hash_key));
	(void)crypto_generichash(q->reset_key, sizeof(q->reset_key), reset,
	    sizeof(reset) - 1, q->config.static_secret,
	    sizeof(q->config.static_secret));
	(void)crypto_generichash(q->token_key, sizeof(q->token_key), token,
	    sizeof(token) - 1, q->config.static_secret,
	    sizeof(q->config.static_secret));
}

static void
init_limits(struct quic_config *c)
{
	if (c->max_conns == 0)
		c->max_conns = MAX_CONNS;
	if (c->max_half_open == 0)
		c->max_half_open = MAX_HALF_OPEN;
	if (c->max_conns_per_address == 0)
		c->max_conns_per_address = MAX_PER_ADDRESS;
	if (c->max_streams == 0)
		c->max_streams = MAX_STREAMS;
}

static int
open_sockets(struct quic *q)
{
	int r;

	for (size_t i = 0; i < q->config.n_listen; i++) {
		const struct address *a = &q->config.listen[i];

		if (quic_socket_for(q, a->sa.sa_family) != NULL)
			return -EINVAL; // one of each family
		r = quic_socket_open(&q->sockets[i], q, a);
		if (r < 0)
			return r;
		q->n_sockets++;
	}
	q->config.listen = NULL;
	return 0;
}

int
quic_new(struct quic **ret, const struct quic_config *config)
{
	struct quic *q;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	if (config->n_listen == 0 || config->n_listen > N_ELEMENTS(q->sockets))
		return -EINVAL;
	if ((q = calloc(1, sizeof(*q))) == NULL)
		return -ENOMEM;
	q->config = *config;
	init_limits(&q->config);
	init_keys(q);
	TAILQ_INIT(&q->links);
	TAILQ_INIT(&q->conns);
	TAILQ_INIT(&q->ending);
	TAILQ_INIT(&q->notify);
	TAILQ_INIT(&q->starved);
	TAILQ_INIT(&q->reserved);
	q->stateless_ts = quic_now();
	q->stateless_budget = 1000ull * QUIC_STATELESS_BURST;
	event_assign(&q->flush, q->config.base, -1, 0, on_flush, q);
	q->pace_fd = -1;
	q->rx = malloc((size_t)QUIC_RX_SLOTS * QUIC_RX_SLOT_LEN);
	r = q->rx == NULL ? -ENOMEM : quic_tls_init(q);
	if (r == 0)
		r = quic_pace_init(q);
	if (r == 0)
		r = open_sockets(q);
	if (r < 0) {
		quic_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

void
quic_free(struct quic *q)
{
	struct quic_conn *c;

	if (q == NULL)
		return;
	q->closing = true;
	TAILQ_FOREACH (c, &q->conns, all)
		quic_conn_close(c, 0, "shutting down");
	quic_flush(q);
	quic_flush(q); // the links of those that were dialling
	while (!TAILQ_EMPTY(&q->links))
		quic_link_free(TAILQ_FIRST(&q->links));
	for (size_t i = 0; i < q->n_sockets; i++)
		quic_socket_close(&q->sockets[i]);
	(void)event_del(&q->flush);
	quic_pace_done(q);
	quic_pool_done(q);
	quic_tls_done(q);
	free(q->rx);
	sodium_memzero(q, sizeof(*q));
	free(q);
}

int
quic_local_address(const struct quic *q, size_t i, struct address *ret)
{
	if (i >= q->n_sockets)
		return -EINVAL;
	*ret = q->sockets[i].bound;
	return 0;
}

void
quic_get_stats(const struct quic *q, struct quic_stats *ret)
{
	*ret = q->stats;
	ret->buffered_bytes = q->buffered;
}
