// One QUIC connection on the wire, from its first packet to the end of its
// closing period.  Trusts ngtcp2 for the protocol; gives it each datagram
// with the addresses that the kernel reported.  Must never free what ngtcp2
// is working on: a link ends only between calls into ngtcp2.
#include "gossipd/quic_internal.h"

#include <stdio.h>
#include <string.h>

enum {
	IDLE_S = 30,
	KEEP_ALIVE_S = 5,
	HANDSHAKE_S = 10,
	DIAL_RTT_MS = 100, // a third of the time to the second packet
	CIDS = 4,	   // of each side
	CLOSING_MAX_MS = 3000,
	ACK_DELAY_MS = 5, // we promised 25 at most
	FEW_BYTES = 64 << 10,
	PRECISE_MS = 10, // shorter waits are the timerfd's
};

void
quic_link_timeout(struct quic_link *l)
{
	int r;

	l->armed = UINT64_MAX;
	l->due = UINT64_MAX;
	l->heard_at = 0;
	if (l->state == LINK_CLOSED) {
		quic_link_free(l);
		return;
	}
	r = ngtcp2_conn_handle_expiry(l->ng, quic_now());
	if (r != 0)
		quic_link_fail(l, r);
	else
		quic_link_mark(l);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	quic_link_timeout(arg);
}

static struct quic_link *
link_new(struct quic *q, struct quic_socket *s, const struct address *remote)
{
	struct quic_link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->q = q;
	l->socket = s;
	l->remote = *remote;
	l->armed = l->due = UINT64_MAX;
	SLIST_INIT(&l->routes);
	evtimer_assign(&l->timer, q->config.base, on_timer, l);
	TAILQ_INSERT_TAIL(&q->links, l, all);
	return l;
}

static void
transport_done(struct quic_link *l)
{
	quic_source_drop(l);
	if (l->in_dirty)
		TAILQ_REMOVE(&l->socket->dirty, l, dirty);
	l->in_dirty = false;
	if (l->ng != NULL)
		ngtcp2_conn_del(l->ng);
	if (l->tls != NULL)
		gnutls_deinit(l->tls);
	l->ng = NULL;
	l->tls = NULL;
	(void)event_del(&l->timer);
	l->armed = l->due = UINT64_MAX;
}

void
quic_link_free(struct quic_link *l)
{
	transport_done(l);
	if (l->state == LINK_CLOSED)
		l->q->n_tombstones--;
	quic_routes_drop(l);
	TAILQ_REMOVE(&l->q->links, l, all);
	free(l->close_packet);
	free(l);
}

static void
fill_settings(ngtcp2_settings *s, ngtcp2_duration timeout)
{
	static const uint16_t probes[] = { QUIC_PACKET_ETHERNET,
		QUIC_PACKET_MAX };

	ngtcp2_settings_default(s);
	s->pmtud_probes = probes;
	s->pmtud_probeslen = N_ELEMENTS(probes);
	s->initial_ts = quic_now();
	s->cc_algo = NGTCP2_CC_ALGO_CUBIC;
	s->max_tx_udp_payload_size = QUIC_PACKET_MAX;
	s->max_window = QUIC_CONN_WINDOW_MAX;
	s->max_stream_window = QUIC_STREAM_WINDOW_MAX;
	s->handshake_timeout = timeout;
}

static void
fill_params(ngtcp2_transport_params *p, const struct quic *q)
{
	ngtcp2_transport_params_default(p);
	p->initial_max_stream_data_bidi_local = QUIC_STREAM_WINDOW;
	p->initial_max_stream_data_bidi_remote = QUIC_STREAM_WINDOW;
	p->initial_max_data = QUIC_CONN_WINDOW;
	p->initial_max_streams_bidi = q->config.max_streams;
	p->initial_max_streams_uni = 0;
	p->max_datagram_frame_size = 0;
	p->max_idle_timeout = IDLE_S * NGTCP2_SECONDS;
	p->active_connection_id_limit = CIDS;
}

static ngtcp2_path
path_of(const struct address *local, const struct address *remote)
{
	// ngtcp2 copies addresses, it does not write to them.
	return (ngtcp2_path){
		.local = { (ngtcp2_sockaddr *)&local->sa, local->len },
		.remote = { (ngtcp2_sockaddr *)&remote->sa, remote->len },
	};
}

static void
random_cid(ngtcp2_cid *ret)
{
	ret->datalen = QUIC_CID_LEN;
	randombytes_buf(ret->data, QUIC_CID_LEN);
}

static int
server_new(struct quic_link *l, const struct quic_accept *a)
{
	ngtcp2_path path = path_of(&l->local, &l->remote);
	ngtcp2_transport_params p;
	ngtcp2_settings s;
	ngtcp2_cid scid;

	random_cid(&scid);
	fill_settings(&s, HANDSHAKE_S * NGTCP2_SECONDS);
	fill_params(&p, l->q);
	p.original_dcid = a->header->dcid;
	p.original_dcid_present = 1;
	if (a->original_dcid != NULL) {
		p.original_dcid = *a->original_dcid;
		p.retry_scid = a->header->dcid;
		p.retry_scid_present = 1;
		s.token = a->header->token;
		s.tokenlen = a->header->tokenlen;
		s.token_type = NGTCP2_TOKEN_TYPE_RETRY;
	}
	p.stateless_reset_token_present = 1;
	if (ngtcp2_crypto_generate_stateless_reset_token(
		p.stateless_reset_token, l->q->reset_key,
		sizeof(l->q->reset_key), &scid) != 0)
		return -EIO;
	if (quic_route_add(l, QUIC_ROUTE_CID, scid.data, scid.datalen) < 0 ||
	    quic_route_add(l, QUIC_ROUTE_CID, a->header->dcid.data,
		a->header->dcid.datalen) < 0)
		return -ENOMEM;
	if (ngtcp2_conn_server_new(&l->ng, &a->header->scid, &scid, &path,
		a->header->version, &quic_server_callbacks, &s, &p, NULL,
		l) != 0)
		return -ENOMEM;
	return 0;
}

static int
client_new(struct quic_link *l, ngtcp2_duration timeout)
{
	ngtcp2_path path = path_of(&l->local, &l->remote);
	ngtcp2_transport_params p;
	ngtcp2_settings s;
	ngtcp2_cid scid, dcid;

	random_cid(&scid);
	random_cid(&dcid);
	fill_settings(&s, timeout);
	// Whom we dial may be starting: not a second until the next try.
	s.initial_rtt = DIAL_RTT_MS * NGTCP2_MILLISECONDS;
	fill_params(&p, l->q);
	if (quic_route_add(l, QUIC_ROUTE_CID, scid.data, scid.datalen) < 0)
		return -ENOMEM;
	if (ngtcp2_conn_client_new(&l->ng, &dcid, &scid, &path,
		NGTCP2_PROTO_VER_V1, &quic_client_callbacks, &s, &p, NULL,
		l) != 0)
		return -ENOMEM;
	return 0;
}

static void
link_ready(struct quic_link *l)
{
	ngtcp2_conn_set_tls_native_handle(l->ng, l->tls);
	ngtcp2_conn_set_keep_alive_timeout(
	    l->ng, KEEP_ALIVE_S * NGTCP2_SECONDS);
	quic_link_mark(l);
}

int
quic_link_accept(
    struct quic *q, const struct quic_accept *a, struct quic_link **ret)
{
	struct quic_link *l = link_new(q, a->socket, a->remote);
	int r;

	if (l == NULL)
		return -ENOMEM;
	l->local = *a->local;
	if ((r = quic_source_add(l)) == 0 && (r = quic_tls_session_new(l)) == 0)
		r = server_new(l, a);
	if (r < 0) {
		quic_link_free(l);
		return r;
	}
	link_ready(l);
	*ret = l;
	return 0;
}

int
quic_link_dial(
    struct quic_conn *c, const struct address *remote, ngtcp2_duration timeout)
{
	struct quic_socket *s = quic_socket_for(c->q, remote->sa.sa_family);
	struct quic_link *l;
	int r;

	if (s == NULL)
		return -EAFNOSUPPORT;
	if ((l = link_new(c->q, s, remote)) == NULL)
		return -ENOMEM;
	l->outbound = true;
	// The kernel chooses our source address and may change it; to
	// ngtcp2 it is always the same one, so nothing is ever dropped.
	l->local = s->bound;
	memcpy(l->peer, c->peer, ENDPOINT_ID_LEN);
	if ((r = quic_tls_session_new(l)) == 0)
		r = client_new(l, timeout);
	if (r < 0) {
		quic_link_free(l);
		return r;
	}
	l->conn = c;
	l->in_attempts = true;
	TAILQ_INSERT_TAIL(&c->attempts, l, attempt);
	link_ready(l);
	return 0;
}

void
quic_link_mark(struct quic_link *l)
{
	if (l->in_dirty || l->state == LINK_CLOSED)
		return;
	l->in_dirty = true;
	TAILQ_INSERT_TAIL(&l->socket->dirty, l, dirty);
	quic_flush_soon(l->q);
}

// Nothing of ours waits and little is on the way: the next timer is an
// acknowledgement, which ngtcp2 would send after an eighth of the round trip,
// one for each token of a stream.  A later packet or an answer carries it.
// Or it is a loss timer: seen a little later, and only at the end of a burst.
static bool
only_acknowledges(const struct quic_link *l)
{
	ngtcp2_conn_info info;

	if (l->state != LINK_UP || l->conn == NULL ||
	    !TAILQ_EMPTY(&l->conn->ready))
		return false;
	ngtcp2_conn_get_conn_info(l->ng, &info);
	return info.bytes_in_flight <= FEW_BYTES;
}

// The time for ngtcp2 to write at.  While all that it could say is that
// something came, that of the arrival: no wait for an acknowledgement is over
// then, and it says so only for a reason, such as a packet that is missing.
ngtcp2_tstamp
quic_link_write_time(struct quic_link *l)
{
	ngtcp2_tstamp heard = l->heard_at;

	l->heard_at = 0;
	return heard != 0 && only_acknowledges(l) ? heard : quic_now();
}

static void
arm_at(struct quic_link *l, ngtcp2_tstamp at, ngtcp2_tstamp now)
{
	ngtcp2_duration left = at > now ? at - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(left / NGTCP2_SECONDS),
		.tv_usec = (suseconds_t)(left % NGTCP2_SECONDS /
		    NGTCP2_MICROSECONDS) };

	if (left > 0 && left < PRECISE_MS * NGTCP2_MILLISECONDS) {
		(void)event_del(&l->timer);
		quic_pace(l, at, now);
		return;
	}
	// libevent counts from its idea of now, which is that of the start
	// of the loop turn.
	(void)event_base_update_cache_time(l->q->config.base);
	(void)event_add(&l->timer, &tv);
}

void
quic_link_arm(struct quic_link *l)
{
	const ngtcp2_duration late = ACK_DELAY_MS * NGTCP2_MILLISECONDS;
	ngtcp2_tstamp at = ngtcp2_conn_get_expiry(l->ng), now;

	if (at == l->armed)
		return;
	l->armed = at;
	l->due = UINT64_MAX;
	if (at == UINT64_MAX) {
		(void)event_del(&l->timer);
		return;
	}
	now = quic_now();
	if (at < now + late && only_acknowledges(l))
		at = now + late;
	arm_at(l, at, now);
}

// The peer has not heard that it is over.  Less and less often, lest two
// endpoints keep each other busy (RFC 9000, section 10.2.1).
static void
repeat_close(struct quic_link *l)
{
	l->close_hits++;
	if (l->close_packet == NULL ||
	    (l->close_hits & (l->close_hits - 1)) != 0)
		return;
	quic_send_single(
	    l->socket, &l->local, &l->remote, l->close_packet, l->close_len);
}

static void
write_now(struct quic_link *l)
{
	TAILQ_REMOVE(&l->socket->dirty, l, dirty);
	l->in_dirty = false;
	(void)quic_link_write(l);
}

// A frame for each stream that ends would be a packet for each short request.
// Soon, though, when the peer could come to its limit.
void
quic_link_give_streams(struct quic_link *l)
{
	unsigned n = l->streams_due;

	if (n == 0 ||
	    (n < QUIC_STREAMS_FLUSH &&
		l->n_inbound + n < l->q->config.max_streams / 2))
		return;
	l->streams_due = 0;
	ngtcp2_conn_extend_max_streams_bidi(l->ng, n);
	quic_link_mark(l);
}

void
quic_link_input(struct quic_link *l, const struct address *local,
    const struct address *remote, uint8_t ecn, const uint8_t *data, size_t len)
{
	const ngtcp2_pkt_info pi = { .ecn = ecn };
	ngtcp2_path path;
	bool fresh;
	int r;

	if (l->state == LINK_CLOSED) {
		repeat_close(l);
		return;
	}
	fresh = l->state == LINK_HANDSHAKE;
	path = path_of(l->outbound ? &l->local : local, remote);
	l->heard_at = quic_now();
	r = ngtcp2_conn_read_pkt(l->ng, &path, &pi, data, len, l->heard_at);
	if (r != 0) {
		quic_link_fail(l, r);
		return;
	}
	quic_link_mark(l);
	// A handshake is so much work that the peer should start on its part
	// while we go on with others.
	if (fresh && !l->socket->blocked && !l->close_due)
		write_now(l);
}

// ---- the end

// Peer-chosen text: printable, bounded.
static void
peer_detail(char ret[static QUIC_DETAIL_LEN], const ngtcp2_ccerr *e)
{
	char text[QUIC_REASON_LEN] = "";
	size_t n = 0;

	for (size_t i = 0; i < e->reasonlen && n < sizeof(text) - 1; i++)
		if (e->reason[i] >= 0x20 && e->reason[i] < 0x7f)
			text[n++] = (char)e->reason[i];
	text[n] = '\0';
	(void)snprintf(ret, QUIC_DETAIL_LEN, "%s error 0x%llx%s%s",
	    e->type == NGTCP2_CCERR_TYPE_APPLICATION ? "application"
						     : "transport",
	    (unsigned long long)e->error_code, n > 0 ? ": " : "", text);
}

static void
fail_by_tls(struct quic_link *l)
{
	uint8_t alert = ngtcp2_conn_get_tls_alert(l->ng);
	char detail[QUIC_DETAIL_LEN];
	ngtcp2_ccerr e;

	ngtcp2_ccerr_set_tls_alert(&e, alert, NULL, 0);
	(void)snprintf(detail, sizeof(detail), "TLS alert %u: %s",
	    (unsigned)alert,
	    l->tls_error != NULL
		? l->tls_error
		: gnutls_alert_get_name((gnutls_alert_description_t)alert));
	quic_link_end(l, QUIC_CLOSED_ERROR, detail, &e);
}

void
quic_link_fail(struct quic_link *l, int liberr)
{
	char detail[QUIC_DETAIL_LEN];
	ngtcp2_ccerr e;

	switch (liberr) {
	case NGTCP2_ERR_DRAINING:
	case NGTCP2_ERR_CLOSING:
		if (l->was_reset)
			(void)snprintf(
			    detail, sizeof(detail), "stateless reset");
		else
			peer_detail(detail, ngtcp2_conn_get_ccerr(l->ng));
		quic_link_end(l, QUIC_CLOSED_PEER, detail, NULL);
		return;
	case NGTCP2_ERR_IDLE_CLOSE:
		quic_link_end(l, QUIC_CLOSED_IDLE, "idle", NULL);
		return;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		quic_link_end(
		    l, QUIC_CLOSED_HANDSHAKE, "no answer in time", NULL);
		return;
	case NGTCP2_ERR_DROP_CONN:
	case NGTCP2_ERR_RETRY:
		quic_link_end(
		    l, QUIC_CLOSED_ERROR, ngtcp2_strerror(liberr), NULL);
		return;
	case NGTCP2_ERR_CRYPTO:
		fail_by_tls(l);
		return;
	default:
		ngtcp2_ccerr_set_liberr(&e, liberr, NULL, 0);
		if (l->tls_error != NULL)
			ngtcp2_ccerr_set_tls_alert(
			    &e, GNUTLS_A_NO_APPLICATION_PROTOCOL, NULL, 0);
		quic_link_end(l, QUIC_CLOSED_ERROR,
		    l->tls_error != NULL ? l->tls_error
					 : ngtcp2_strerror(liberr),
		    &e);
	}
}

static void
send_close(struct quic_link *l, const ngtcp2_ccerr *error)
{
	uint8_t packet[QUIC_PACKET_MAX];
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	ngtcp2_path_storage_zero(&ps);
	n = ngtcp2_conn_write_connection_close(
	    l->ng, &ps.path, &pi, packet, sizeof(packet), error, quic_now());
	if (n <= 0)
		return;
	memcpy(&l->local.sa, ps.path.local.addr, ps.path.local.addrlen);
	memcpy(&l->remote.sa, ps.path.remote.addr, ps.path.remote.addrlen);
	quic_send_single(l->socket, &l->local, &l->remote, packet, (size_t)n);
	if ((l->close_packet = malloc((size_t)n)) == NULL)
		return; // the peer will time out
	memcpy(l->close_packet, packet, (size_t)n);
	l->close_len = (size_t)n;
}

// Only the routes and the close packet stay, for three probe timeouts.
static void
bury(struct quic_link *l)
{
	ngtcp2_duration wait = 3 * ngtcp2_conn_get_pto(l->ng);
	struct timeval tv;

	l->state = LINK_CLOSED;
	l->q->n_tombstones++;
	transport_done(l);
	if (l->was_reset || l->q->closing ||
	    l->q->n_tombstones > 4 * l->q->config.max_conns) {
		quic_link_free(l);
		return;
	}
	if (wait > CLOSING_MAX_MS * NGTCP2_MILLISECONDS)
		wait = CLOSING_MAX_MS * NGTCP2_MILLISECONDS;
	tv.tv_sec = (time_t)(wait / NGTCP2_SECONDS);
	tv.tv_usec = (suseconds_t)(wait % NGTCP2_SECONDS / 1000);
	(void)event_add(&l->timer, &tv);
}

void
quic_link_end(struct quic_link *l, enum quic_close_reason reason,
    const char *detail, const ngtcp2_ccerr *error)
{
	struct quic_conn *c = l->conn;

	if (l->state == LINK_HANDSHAKE && !l->close_due)
		l->q->stats.handshakes_failed++;
	if (error != NULL)
		send_close(l, error);
	l->conn = NULL;
	// The connection still reads its address from the link.
	if (c != NULL)
		quic_conn_link_ended(c, l, reason, detail);
	bury(l);
}
