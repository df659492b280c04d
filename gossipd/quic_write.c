// Fills packets from the streams of a connection, in turn, and hands them
// to the socket's batch.  Writes no more at once than the pacer allows; the
// timer of the link continues.
#include "gossipd/quic_internal.h"

#include <string.h>

enum { VECS = 4 };

struct writer {
	struct quic_link *link;
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	size_t packet_max; // more than usual: room for a probe of the path
	ngtcp2_tstamp now;
};

static struct quic_stream *
next_stream(const struct quic_link *l)
{
	if (l->conn == NULL || l->state != LINK_UP)
		return NULL;
	// There is no callback for the connection's window: asked each time.
	if (ngtcp2_conn_get_max_data_left(l->ng) == 0)
		return NULL;
	return TAILQ_FIRST(&l->conn->ready);
}

// One packet with frames of as many streams as fit, or an ngtcp2 error.
static ngtcp2_ssize
write_packet(struct writer *w, uint8_t *dest)
{
	struct quic_link *l = w->link;
	ngtcp2_vec vec[VECS];
	ngtcp2_ssize n, taken;

	for (;;) {
		struct quic_stream *s = next_stream(l);
		uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
		size_t n_vec = 0;
		bool fin = false;

		if (s != NULL) {
			n_vec = quic_stream_pending(s, vec, VECS, &fin);
			flags |= NGTCP2_WRITE_STREAM_FLAG_MORE;
		}
		if (fin)
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
		n = ngtcp2_conn_writev_stream(l->ng, &w->ps.path, &w->pi, dest,
		    w->packet_max, &taken, flags, s != NULL ? s->id : -1, vec,
		    n_vec, w->now);
		if (s != NULL && taken >= 0)
			quic_stream_sent(s, (size_t)taken, fin);
		if (n >= 0)
			return n;
		if (n == NGTCP2_ERR_WRITE_MORE)
			continue;
		if (s != NULL && n == NGTCP2_ERR_STREAM_DATA_BLOCKED)
			quic_stream_block(s);
		else if (s != NULL &&
		    (n == NGTCP2_ERR_STREAM_SHUT_WR ||
			n == NGTCP2_ERR_STREAM_NOT_FOUND))
			quic_stream_write_died(s);
		else
			return n;
	}
}

static bool
unreachable(int error)
{
	return error == -ENETUNREACH || error == -EHOSTUNREACH ||
	    error == -EADDRNOTAVAIL || error == -EINVAL || error == -EACCES ||
	    error == -EPERM;
}

// Sends what there is; -errno of the path, or an error of ngtcp2 in ret.
static int
write_packets(struct writer *w, int *ret_liberr)
{
	struct quic_link *l = w->link;
	struct quic_socket *s = l->socket;
	size_t budget = ngtcp2_conn_get_send_quantum(l->ng), done = 0;
	size_t usual = ngtcp2_conn_get_path_max_tx_udp_payload_size(l->ng);
	ngtcp2_ssize n;
	int r = 0;

	while (r == 0 && (done == 0 || done + usual <= budget)) {
		n = write_packet(w, quic_batch_next(s));
		if (n < 0)
			*ret_liberr = (int)n;
		if (n <= 0)
			break;
		done += (size_t)n;
		r = quic_batch_add(s, &w->ps.path, w->pi.ecn, (size_t)n, true);
	}
	if (r == 0)
		r = quic_batch_send(s);
	return r;
}

bool
quic_link_write(struct quic_link *l)
{
	struct writer w = { .link = l, .now = quic_link_write_time(l) };
	int liberr = 0, r;

	ngtcp2_path_storage_zero(&w.ps);
	w.packet_max = ngtcp2_conn_get_max_tx_udp_payload_size(l->ng);
	l->credit = 0;
	r = write_packets(&w, &liberr);
	if (liberr != 0) {
		quic_link_fail(l, liberr);
		return false;
	}
	ngtcp2_conn_update_pkt_tx_time(l->ng, w.now);
	// Do not wait for a timeout to try the next address.
	if (l->outbound && l->state == LINK_HANDSHAKE && unreachable(r)) {
		quic_link_end(l, QUIC_CLOSED_HANDSHAKE, "unreachable", NULL);
		return false;
	}
	if (r == -EAGAIN)
		quic_link_mark(l); // goes on when the socket takes more
	quic_link_arm(l);
	return true;
}
