// What the other processes of this node ask or tell: tunnels and models from
// proxyd, keys from cryptod, the end from the parent.
#include "gossipd/gossipd.h"

#include <string.h>

#include "attestd/client.h"
#include "common/log.h"
#include "cryptod/client.h"

static struct gossipd *
daemon_of(struct ipc_peer *peer)
{
	return ipc_peer_daemon(peer);
}

int
handle_stop(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	(void)frame;
	(void)msg;
	gossipd_stop(daemon_of(peer));
	return 0;
}

int
handle_posture(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__Posture *in = (const Ipc__Posture *)msg;
	struct gossipd *d = daemon_of(peer);

	(void)frame;
	if (in->n_items != 0 || in->n_images != 0)
		return -EBADMSG;
	if (d->posture == in->announced)
		return 0;
	d->posture = in->announced;
	mesh_tell_self(d);
	return 0;
}

int
handle_measured(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct gossipd *d = daemon_of(peer);
	int r = measured_take(frame, (const Ipc__Measured *)msg, ROLE_SIGNER,
	    &d->signer_measured);

	if (r == 0)
		channels_tell_measured(d);
	return r;
}

void
gossipd_tunnel_reply(struct gossipd *d, uint32_t request_id, int result)
{
	Ipc__TunnelReply reply = IPC__TUNNEL_REPLY__INIT;
	int r;

	reply.result = (Ipc__Result)result;
	// Of success the bytes tell, without a wake-up for the news alone.
	if (d->proxyd == NULL || result == IPC__RESULT__RESULT_OK)
		return;
	r = ipc_reply_to(
	    d->proxyd, request_id, IPC__TYPE__IPC_TUNNEL_REPLY, &reply.base);
	// proxyd's own deadline ends the request then.
	if (r < 0)
		LOG(LOG_WARNING, "reply-lost", F("error", log_error(r)));
}

void
gossipd_evidence_stream_reply(
    struct gossipd *d, uint32_t request_id, int result, struct quic_conn *conn)
{
	Ipc__EvidenceStreamReply reply = IPC__EVIDENCE_STREAM_REPLY__INIT;
	uint8_t binding[32];
	int r;

	if (d->proxyd == NULL)
		return;
	reply.result = (Ipc__Result)result;
	if (result == IPC__RESULT__RESULT_OK) {
		reply.has_binding = quic_conn_exporter(conn, binding) == 0;
		reply.binding = (ProtobufCBinaryData){ 32, binding };
		if (!reply.has_binding)
			reply.result = IPC__RESULT__RESULT_UNREACHABLE;
	}
	r = ipc_reply_to(d->proxyd, request_id,
	    IPC__TYPE__IPC_EVIDENCE_STREAM_REPLY, &reply.base);
	if (r < 0)
		LOG(LOG_WARNING, "reply-lost", F("error", log_error(r)));
}

// What proxyd wants a stream for.
struct wish {
	const uint8_t *id;
	uint8_t type; // of the stream
	uint32_t request_id;
};

// Keep the tunnel until a connection is up and has gossiped.
static int
tunnel_wait(struct link *link, const struct wish *wish, int *fd)
{
	struct pending_tunnel *p;

	if (link->n_pending >= TUNNEL_PENDING_MAX)
		return IPC__RESULT__RESULT_REFUSED;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return IPC__RESULT__RESULT_REFUSED;
	p->fd = take_fd(fd);
	p->is_evidence = wish->type == EVIDENCE_STREAM_TYPE;
	p->request_id = wish->request_id;
	p->deadline_ms = clock_mono_ms() + DIAL_DEADLINE_MS;
	TAILQ_INSERT_TAIL(&link->pending, p, entry);
	link->n_pending++;
	return -1; // answered later
}

// A result for proxyd, or -1 when it will be told later.
static int
tunnel_to(struct gossipd *d, const struct wish *wish, int *fd)
{
	const uint8_t *id = wish->id;
	struct gossip_peer peer;
	struct link *link;
	int r;

	if (d->quic == NULL)
		return IPC__RESULT__RESULT_UNREACHABLE; // still starting
	if (!gossip_find_peer(d->gossip, id, &peer))
		return IPC__RESULT__RESULT_NO_PEER;
	// Others would take the type for an error.  Whose is not known yet is
	// looked at again when the connection is up.
	if (wish->type == EVIDENCE_STREAM_TYPE &&
	    peer.dialect != GOSSIP_DIALECT_MESHLLM &&
	    peer.dialect != GOSSIP_DIALECT_UNKNOWN)
		return IPC__RESULT__RESULT_REFUSED;
	link = mesh_find_link(d, id);
	if (link != NULL && link->conn != NULL && link->greeted) {
		r = tunnel_open(link, wish->type, take_fd(fd));
		if (r == 0)
			return IPC__RESULT__RESULT_OK;
		if (r != -EAGAIN)
			gossip_on_tunnel_error(
			    d->gossip, clock_mono_ms(), id, true);
		return r == -EAGAIN ? IPC__RESULT__RESULT_REFUSED
				    : IPC__RESULT__RESULT_UNREACHABLE;
	}
	if (mesh_dial(
		d, id, peer.addrs, peer.n_addrs, DIAL_DEADLINE_MS, false) < 0)
		return IPC__RESULT__RESULT_UNREACHABLE;
	if (mesh_get_link(d, id, &link) < 0)
		return IPC__RESULT__RESULT_REFUSED;
	return tunnel_wait(link, wish, fd);
}

int
handle_tunnel_request(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__TunnelRequest *req = (const Ipc__TunnelRequest *)msg;
	struct gossipd *d = daemon_of(peer);
	struct wish wish = { req->endpoint_id.data, TUNNEL_STREAM_TYPE,
		frame->header.request_id };
	AUTO_FD fd = take_fd(&frame->fd);
	int result;

	if (req->endpoint_id.len != ENDPOINT_ID_LEN)
		return -EBADMSG;
	result = tunnel_to(d, &wish, &fd);
	if (result >= 0)
		gossipd_tunnel_reply(d, wish.request_id, result);
	mesh_run_actions(d);
	return 0;
}

int
handle_evidence_stream_request(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__EvidenceStreamRequest *req =
	    (const Ipc__EvidenceStreamRequest *)msg;
	struct gossipd *d = daemon_of(peer);
	struct wish wish = { req->endpoint_id.data, EVIDENCE_STREAM_TYPE,
		frame->header.request_id };
	AUTO_FD fd = take_fd(&frame->fd);
	struct link *link;
	int result;

	if (req->endpoint_id.len != ENDPOINT_ID_LEN)
		return -EBADMSG;
	result = tunnel_to(d, &wish, &fd);
	link = result == IPC__RESULT__RESULT_OK ? mesh_find_link(d, wish.id)
						: NULL;
	if (result >= 0)
		gossipd_evidence_stream_reply(d, wish.request_id, result,
		    link == NULL ? NULL : link->conn);
	mesh_run_actions(d);
	return 0;
}

int
handle_self_update(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__SelfUpdate *update = (const Ipc__SelfUpdate *)msg;
	struct gossipd *d = daemon_of(peer);

	(void)frame;
	if (update->api_port > UINT16_MAX)
		return -EBADMSG;
	d->incoming.open = true;
	d->incoming.host = update->host != 0;
	d->incoming.api_port = (uint16_t)update->api_port;
	d->incoming.n_models = 0;
	return 0;
}

static int
take_model(struct gossipd *d, const Ipc__PeerModels__Model *model)
{
	struct gossip_model *m;
	size_t len = strlen(model->name);

	if (d->incoming.n_models >= PEER_MODELS_MAX || len == 0 ||
	    len > MODEL_NAME_MAX)
		return -EBADMSG;
	m = &d->incoming.models[d->incoming.n_models++];
	memcpy(m->name, model->name, len + 1);
	m->context_length =
	    model->has_context_length ? model->context_length : 0;
	return 0;
}

int
handle_self_models(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__SelfModels *part = (const Ipc__SelfModels *)msg;
	struct gossipd *d = daemon_of(peer);
	int r;

	(void)frame;
	if (!d->incoming.open)
		return -EPROTO;
	for (size_t i = 0; i < part->n_models; i++)
		if ((r = take_model(d, part->models[i])) < 0)
			return r;
	if (!part->final)
		return 0;
	d->incoming.open = false;
	d->is_host = d->incoming.host;
	d->is_client = !d->incoming.host;
	d->api_port = d->incoming.api_port;
	d->n_models = d->incoming.n_models;
	memcpy(d->models, d->incoming.models, sizeof(d->models));
	mesh_tell_self(d);
	return 0;
}

static void
on_announcement(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct gossipd *d = arg;
	struct announcement a;
	enum log_level level;

	(void)frame;
	status = cryptod_announce_read(status, msg, d->announcement);
	if (status == 0)
		status = announcement_open(
		    d->announcement, ANNOUNCEMENT_LEN, d->endpoint_id, &a);
	d->has_announcement = status == 0;
	level = service_failed_level(status);
	if (status < 0) {
		LOG(level, "announcement-missing",
		    F("error", log_error(status)));
		return;
	}
	memcpy(d->inference_key, a.inference_key, sizeof(d->inference_key));
	mesh_tell_self(d);
}

static void
on_keys(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct gossipd *d = arg;
	struct cryptod_keys keys;
	enum log_level level;

	(void)frame;
	status = cryptod_keys_read(status, msg, &keys);
	// Our connections, and the mesh, know the node by the other one.
	if (status == 0 && d->quic != NULL &&
	    memcmp(d->endpoint_id, keys.endpoint_id, ENDPOINT_ID_LEN) != 0)
		fatal("the node has another identity now", -ESTALE);
	if (status == 0) {
		memcpy(d->endpoint_id, keys.endpoint_id, ENDPOINT_ID_LEN);
		status = cryptod_announce_send(
		    d->cryptod, KEYS_DEADLINE_MS, on_announcement, d, NULL);
	}
	level = service_failed_level(status);
	if (status < 0)
		LOG(level, "keys-missing", F("error", log_error(status)));
}

int
gossipd_refresh_keys(struct gossipd *d)
{
	if (d->cryptod == NULL)
		return -EPIPE;
	return cryptod_keys_send(
	    d->cryptod, KEYS_DEADLINE_MS, on_keys, d, NULL);
}

static void
set_evidence(struct gossipd *d, const struct attestd_evidence *e)
{
	uint8_t *copy = NULL;

	if (e->len == d->evidence_len &&
	    (e->len == 0 || memcmp(e->bytes, d->evidence, e->len) == 0))
		return;
	if (e->len != 0) {
		if ((copy = malloc(e->len)) == NULL)
			return; // asked for again soon
		memcpy(copy, e->bytes, e->len);
	}
	free(d->evidence);
	d->evidence = copy;
	d->evidence_len = e->len;
	mesh_tell_self(d);
}

static void
on_evidence(
    void *arg, int status, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct gossipd *d = arg;
	struct attestd_evidence evidence;

	(void)frame;
	status = attestd_evidence_read(status, msg, &evidence);
	// Without an answer what we have grows old, and peers notice.
	if (status < 0)
		LOG(LOG_WARNING, "evidence-missing",
		    F("error", log_error(status)));
	else
		set_evidence(d, &evidence);
}

void
gossipd_refresh_evidence(struct gossipd *d, uint64_t now_ms)
{
	int r;

	if (d->signer == NULL ||
	    (d->evidence_ms != 0 &&
		now_ms - d->evidence_ms < EVIDENCE_INTERVAL_MS))
		return;
	d->evidence_ms = now_ms;
	r = attestd_evidence_send(
	    d->signer, KEYS_DEADLINE_MS, on_evidence, d, NULL);
	if (r < 0)
		LOG(LOG_WARNING, "evidence-missing", F("error", log_error(r)));
}

int
handle_key_changed(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	(void)frame;
	(void)msg;
	return gossipd_refresh_keys(daemon_of(peer));
}
