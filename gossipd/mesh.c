// Links: at most one connection in use per peer, dials, and the gossip
// core's actions carried out on real connections.  Membership decisions are
// all the core's; this file only knows what is connected.
#include "gossipd/gossipd.h"

#include <string.h>

#include "common/log.h"
#include "gossipd/client.h"

struct link *
mesh_find_link(struct gossipd *d, const uint8_t *id)
{
	struct link *link;

	HASH_FIND(hh, d->links, id, ENDPOINT_ID_LEN, link);
	return link;
}

int
mesh_get_link(struct gossipd *d, const uint8_t *id, struct link **ret)
{
	struct link *link = mesh_find_link(d, id);

	if (link == NULL) {
		if ((link = calloc(1, sizeof(*link))) == NULL)
			return -ENOMEM;
		memcpy(link->id, id, sizeof(link->id));
		link->daemon = d;
		TAILQ_INIT(&link->pending);
		HASH_ADD(hh, d->links, id, ENDPOINT_ID_LEN, link);
	}
	*ret = link;
	return 0;
}

void
mesh_drop_link_if_unused(struct link *link)
{
	if (link->n_conns != 0 || link->dialing != NULL ||
	    link->n_pending != 0 || link->n_control != 0 ||
	    link->n_tunnels != 0 || link->n_evidence != 0)
		return;
	HASH_DEL(link->daemon->links, link);
	free(link);
}

static void
pending_finish(struct link *link, struct pending_tunnel *p, int result)
{
	struct gossipd *d = link->daemon;

	TAILQ_REMOVE(&link->pending, p, entry);
	link->n_pending--;
	if (p->is_evidence)
		gossipd_evidence_stream_reply(
		    d, p->request_id, result, link->conn);
	else
		gossipd_tunnel_reply(d, p->request_id, result);
	close_fd(&p->fd);
	free(p);
}

static void
pending_fail(struct link *link, int result)
{
	struct pending_tunnel *p;

	while ((p = TAILQ_FIRST(&link->pending)) != NULL)
		pending_finish(link, p, result);
}

void
mesh_forget_pending(struct gossipd *d)
{
	struct link *link, *tmp;

	HASH_ITER (hh, d->links, link, tmp)
		pending_fail(link, IPC__RESULT__RESULT_UNREACHABLE);
}

static void
pending_start(struct link *link)
{
	struct pending_tunnel *p;
	int r;

	while ((p = TAILQ_FIRST(&link->pending)) != NULL) {
		if (p->is_evidence &&
		    !mesh_is_our_dialect(link->daemon, link->id)) {
			pending_finish(link, p, IPC__RESULT__RESULT_REFUSED);
			continue;
		}
		r = tunnel_open(link,
		    p->is_evidence ? EVIDENCE_STREAM_TYPE : TUNNEL_STREAM_TYPE,
		    take_fd(&p->fd));
		pending_finish(link, p,
		    r == 0 ? IPC__RESULT__RESULT_OK
			   : IPC__RESULT__RESULT_UNREACHABLE);
	}
}

bool
mesh_is_our_dialect(struct gossipd *d, const uint8_t *id)
{
	struct gossip_peer peer;

	return gossip_find_peer(d->gossip, id, &peer) &&
	    peer.dialect == GOSSIP_DIALECT_MESHLLM;
}

// Our own kind admits before it answers.  Others do so a moment later, and
// meanwhile drop a tunnel without a word.
void
mesh_link_greeted(struct link *link)
{
	struct gossipd *d = link->daemon;
	struct timeval wait = { .tv_usec = (GREETING_MS + 1) * 1000 };

	if (link->greeted || link->greeted_at_ms != 0)
		return;
	link->greeted_at_ms = clock_mono_ms();
	if (mesh_is_our_dialect(d, link->id)) {
		mesh_start_pending(d, link->greeted_at_ms);
		return;
	}
	link->greeted_at_ms += GREETING_MS;
	(void)event_add(d->greet, &wait);
}

void
mesh_start_pending(struct gossipd *d, uint64_t now_ms)
{
	struct link *link, *tmp;

	HASH_ITER (hh, d->links, link, tmp) {
		if (link->conn == NULL || link->greeted_at_ms == 0 ||
		    link->greeted_at_ms > now_ms)
			continue;
		link->greeted = true;
		pending_start(link);
	}
}

int
mesh_dial(struct gossipd *d, const uint8_t *id, const struct address *addrs,
    size_t n, unsigned deadline_ms, bool for_core)
{
	struct link *link;
	int r;

	if ((r = mesh_get_link(d, id, &link)) < 0)
		return r;
	if (link->conn == NULL && link->dialing == NULL) {
		r = quic_dial(
		    d->quic, id, addrs, n, deadline_ms, &link->dialing);
		if (r < 0) {
			mesh_drop_link_if_unused(link);
			return r;
		}
		quic_conn_set_data(link->dialing, link);
	}
	link->dial_for_core |= for_core;
	return 0;
}

static void
on_conn_up(void *arg, struct quic_conn *conn)
{
	struct gossipd *d = arg;
	bool outbound = quic_conn_is_outbound(conn);
	struct address remote;
	struct link *link;

	if (mesh_get_link(d, quic_conn_peer(conn), &link) < 0) {
		quic_conn_close(conn, 0, "");
		return;
	}
	quic_conn_set_data(conn, link);
	if (link->dialing == conn)
		link->dialing = NULL;
	link->n_conns++;
	if (link->conn != NULL &&
	    !gossip_new_conn_wins(
		d->gossip, clock_mono_ms(), link->id, outbound)) {
		quic_conn_close(conn, 0, "");
		return;
	}
	link->dial_for_core = false;
	if (link->conn != NULL)
		quic_conn_close(link->conn, 0, "");
	link->conn = conn;
	link->greeted = false;
	link->greeted_at_ms = 0;
	quic_conn_remote(conn, &remote);
	LOG(LOG_INFO, "peer-connected", F("peer", log_peer(link->id)),
	    F("direction", outbound ? "out" : "in"),
	    F("rtt_us", quic_conn_rtt_us(conn)));
	gossip_on_conn_up(
	    d->gossip, clock_mono_ms(), link->id, &remote, outbound);
	publish_mark(d, link->id);
	mesh_run_actions(d);
}

static void
on_dial_failed(struct link *link, const char *detail)
{
	struct gossipd *d = link->daemon;
	bool for_core = link->dial_for_core;
	uint8_t id[ENDPOINT_ID_LEN];

	memcpy(id, link->id, sizeof(id));
	LOG(LOG_INFO, "dial-failed", F("peer", log_peer(id)),
	    F("reason", detail));
	link->dialing = NULL;
	link->dial_for_core = false;
	if (link->conn == NULL)
		pending_fail(link, IPC__RESULT__RESULT_UNREACHABLE);
	mesh_drop_link_if_unused(link);
	if (for_core)
		gossip_on_dial_failed(d->gossip, clock_mono_ms(), id);
}

static const char *
close_text(enum quic_close_reason reason)
{
	switch (reason) {
	case QUIC_CLOSED_LOCAL:
		return "closed here";
	case QUIC_CLOSED_PEER:
		return "closed by the peer";
	case QUIC_CLOSED_IDLE:
		return "nothing heard for 30 s";
	case QUIC_CLOSED_HANDSHAKE:
		return "handshake failed";
	case QUIC_CLOSED_ERROR:
		return "protocol error";
	}
	return "";
}

static void
on_conn_down(
    struct link *link, struct quic_conn *conn, enum quic_close_reason reason)
{
	struct gossipd *d = link->daemon;
	uint8_t id[ENDPOINT_ID_LEN];
	bool last;

	memcpy(id, link->id, sizeof(id));
	link->n_conns--;
	if (link->conn == conn) {
		link->conn = NULL;
		link->greeted = false;
		link->greeted_at_ms = 0;
	}
	last = link->n_conns == 0;
	LOG(LOG_INFO, "peer-disconnected", F("peer", log_peer(id)),
	    F("reason", close_text(reason)));
	if (link->dialing == NULL && link->conn == NULL)
		pending_fail(link, IPC__RESULT__RESULT_UNREACHABLE);
	mesh_drop_link_if_unused(link);
	if (last && !d->stopping)
		gossip_on_conn_down(d->gossip, clock_mono_ms(), id);
	publish_mark(d, id);
}

static void
on_conn_closed(void *arg, struct quic_conn *conn, enum quic_close_reason reason,
    const char *detail)
{
	struct gossipd *d = arg;
	struct link *link = quic_conn_data(conn);

	if (link == NULL)
		return;
	if (link->dialing == conn)
		on_dial_failed(link, detail);
	else
		on_conn_down(link, conn, reason);
	mesh_run_actions(d);
}

static void
on_stream_opened(void *arg, struct quic_stream *stream)
{
	struct link *link = quic_conn_data(quic_stream_conn(stream));

	(void)arg;
	if (link == NULL)
		quic_stream_abort(stream);
	else
		control_opened(link, stream);
}

static void
on_stream_data(void *arg, struct quic_stream *stream, const uint8_t *data,
    size_t len, bool fin)
{
	struct gstream *g = quic_stream_data(stream);

	(void)arg;
	if (g == NULL)
		quic_stream_consumed(stream, len); // being closed
	else if (g->kind == GSTREAM_TUNNEL)
		tunnel_data(g, data, len, fin);
	else if (g->kind == GSTREAM_EVIDENCE) {
		quic_stream_consumed(stream, len);
		evidence_data(g, data, len, fin);
	} else
		control_data(g, data, len, fin);
}

static void
on_stream_writable(void *arg, struct quic_stream *stream)
{
	struct gstream *g = quic_stream_data(stream);

	(void)arg;
	if (g != NULL && g->kind == GSTREAM_TUNNEL)
		tunnel_writable(g);
}

static void
on_stream_aborted(void *arg, struct quic_stream *stream)
{
	struct gstream *g = quic_stream_data(stream);

	(void)arg;
	if (g != NULL && g->kind == GSTREAM_TUNNEL)
		tunnel_aborted(g);
}

static void
on_stream_closed(void *arg, struct quic_stream *stream)
{
	struct gstream *g = quic_stream_data(stream);

	(void)arg;
	if (g == NULL)
		return;
	quic_stream_set_data(stream, NULL);
	if (g->kind == GSTREAM_TUNNEL)
		tunnel_closed(g);
	else if (g->kind == GSTREAM_EVIDENCE)
		evidence_closed(g);
	else
		control_closed(g);
}

const struct quic_callbacks mesh_callbacks = {
	.conn_up = on_conn_up,
	.conn_closed = on_conn_closed,
	.stream_opened = on_stream_opened,
	.stream_data = on_stream_data,
	.stream_writable = on_stream_writable,
	.stream_aborted = on_stream_aborted,
	.stream_closed = on_stream_closed,
};

void
mesh_tell_self(struct gossipd *d)
{
	struct gossip_self self = {
		.is_host = d->is_host && d->n_models != 0,
		.is_client = d->is_client,
		.api_port = d->api_port,
		.models = d->models,
		.n_models = d->n_models,
		.addrs = d->addresses,
		.n_addrs = d->n_addresses,
		.has_announcement = d->has_announcement,
		.version = NODE_VERSION,
		.posture = d->posture,
		.evidence = d->evidence,
		.evidence_len = d->evidence_len,
	};

	if (d->gossip == NULL)
		return; // told when it starts
	memcpy(self.announcement, d->announcement, sizeof(self.announcement));
	memcpy(
	    self.inference_key, d->inference_key, sizeof(self.inference_key));
	gossip_on_self(d->gossip, clock_mono_ms(), &self);
	mesh_run_actions(d);
}

static void
do_exchange(struct gossipd *d, const struct gossip_action *a)
{
	struct link *link = mesh_find_link(d, a->id);

	if (link == NULL ||
	    control_exchange(link, a->frame, a->frame_len, a->deadline_ms) < 0)
		gossip_on_exchange_failed(d->gossip, clock_mono_ms(), a->id);
}

static void
do_probe(struct gossipd *d, const struct gossip_action *a)
{
	struct link *link = mesh_find_link(d, a->id);

	if (link == NULL || control_probe(link, a->deadline_ms) < 0)
		gossip_on_probe(d->gossip, clock_mono_ms(), a->id, false);
}

static void
do_dial(struct gossipd *d, const struct gossip_action *a)
{
	if (mesh_dial(d, a->id, a->addrs, a->n_addrs, a->deadline_ms, true) < 0)
		gossip_on_dial_failed(d->gossip, clock_mono_ms(), a->id);
}

static void
do_disconnect(struct gossipd *d, const struct gossip_action *a)
{
	struct link *link = mesh_find_link(d, a->id);

	if (link != NULL && link->conn != NULL)
		quic_conn_close(link->conn, 0, "");
}

static void
do_notice(struct gossipd *d, const struct gossip_action *a)
{
	struct link *link = mesh_find_link(d, a->id);
	int r = link == NULL
	    ? -ENOTCONN
	    : control_notice(link, a->frame_kind, a->frame, a->frame_len);

	// Best effort by design: the others notice by themselves, later.
	if (r < 0)
		LOG(LOG_DEBUG, "notice-not-sent", F("peer", log_peer(a->id)),
		    F("reason", log_error(r)));
}

static void
do_mesh_id(struct gossipd *d, const struct gossip_action *a)
{
	int r;

	(void)snprintf(d->mesh_id, sizeof(d->mesh_id), "%s", a->text);
	r = state_store_mesh_id(d->mesh_id_fd, d->mesh_id);
	if (r < 0)
		LOG(LOG_WARNING, "mesh-id-not-stored",
		    F("error", log_error(r)));
	publish_mesh_info(d);
}

static void
do_action(struct gossipd *d, const struct gossip_action *a)
{
	switch (a->kind) {
	case GOSSIP_DIAL:
		do_dial(d, a);
		break;
	case GOSSIP_EXCHANGE:
		do_exchange(d, a);
		break;
	case GOSSIP_ANSWER:
		control_answer(a->stream, a->frame, a->frame_len);
		break;
	case GOSSIP_REFUSE:
		control_answer(a->stream, NULL, 0);
		break;
	case GOSSIP_NOTICE:
		do_notice(d, a);
		break;
	case GOSSIP_PROBE:
		do_probe(d, a);
		break;
	case GOSSIP_DISCONNECT:
		do_disconnect(d, a);
		break;
	case GOSSIP_PEER_CHANGED:
		publish_mark(d, a->id);
		break;
	case GOSSIP_PEER_GONE:
		publish_gone(d, a->id);
		break;
	case GOSSIP_MESH_ID:
		do_mesh_id(d, a);
		break;
	case GOSSIP_LOG:
		if (!log_limit_pass(&d->gossip_log, clock_mono_ms()))
			break;
		LOG(a->is_warning ? LOG_WARNING : LOG_INFO, a->text,
		    F("peer", log_peer(a->id)), F("reason", a->detail));
		break;
	}
}

// A node that is just starting again should not have to wait for the second.
static void
arm_tick(struct gossipd *d)
{
	uint64_t at = gossip_next_tick_ms(d->gossip), now = clock_mono_ms();
	uint64_t left = at > now ? at - now : 0;
	struct timeval tv = { .tv_usec = (suseconds_t)left * 1000 };

	if (left < 1000)
		(void)event_add(d->tick_soon, &tv);
}

void
mesh_run_actions(struct gossipd *d)
{
	struct gossip_action action;

	// An action may lead to events of its own, and these here again: the
	// outermost call carries out all of them, in order.
	if (d->running_actions)
		return;
	d->running_actions = true;
	while (gossip_next_action(d->gossip, &action))
		do_action(d, &action);
	d->running_actions = false;
	publish_flush(d);
	arm_tick(d);
}

void
mesh_tick(struct gossipd *d, uint64_t now_ms)
{
	struct link *link, *tmp;

	control_expire(d, now_ms);
	mesh_start_pending(d, now_ms);
	HASH_ITER (hh, d->links, link, tmp) {
		struct pending_tunnel *p = TAILQ_FIRST(&link->pending);

		if (p != NULL && p->deadline_ms <= now_ms)
			pending_fail(link, IPC__RESULT__RESULT_TIMEOUT);
		mesh_drop_link_if_unused(link);
	}
	gossip_on_tick(d->gossip, now_ms);
	mesh_run_actions(d);
}
