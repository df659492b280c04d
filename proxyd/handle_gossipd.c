// What gossipd says of the mesh.  It is not trusted: lengths are checked here,
// keys in peers.c, and nothing it says can make a prompt leave in clear.
#include <string.h>

#include "common/log.h"
#include "gossipd/client.h"
#include "proxyd/inbound.h"
#include "proxyd/models.h"
#include "proxyd/proxyd.h"
#include "proxyd/verdict.h"

static void
replace_text(char **text, const char *with)
{
	free(*text);
	*text = with == NULL ? NULL : strdup(with);
}

int
handle_mesh_info(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__MeshInfo *in = (const Ipc__MeshInfo *)msg;
	struct proxyd *d = ipc_peer_daemon(peer);
	struct self *self = &d->self;
	size_t n = in->n_addresses;

	(void)frame;
	if (in->endpoint_id.len != ENDPOINT_ID_LEN)
		return -EBADMSG;
	if (!self->has_id) {
		memcpy(self->id, in->endpoint_id.data, ENDPOINT_ID_LEN);
		self->has_id = true;
	}
	replace_text(&self->token, in->token);
	replace_text(&self->mesh_id, in->mesh_id);
	replace_text(&self->version, in->version);
	if (n > ADDRESSES_SHOWN_MAX)
		n = ADDRESSES_SHOWN_MAX;
	for (size_t i = 0; i < ADDRESSES_SHOWN_MAX; i++)
		replace_text(
		    &self->addresses[i], i < n ? in->addresses[i] : NULL);
	self->n_addresses = n;
	events_changed(d, EVENTS_NODE);
	return 0;
}

int
handle_peer_update(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__PeerUpdate *in = (const Ipc__PeerUpdate *)msg;
	struct proxyd *d = ipc_peer_daemon(peer);
	const char *why = NULL;
	int r;

	(void)frame;
	r = peers_update_begin(&d->peers, in, clock_unix_ms(), &why);
	if (r == -EBADMSG)
		return r;
	if (r < 0)
		LOG(LOG_WARNING, "peer-update-dropped",
		    F("error", log_error(r)));
	else if (why != NULL)
		LOG(LOG_WARNING, "announcement-refused",
		    F("peer", log_peer(in->endpoint_id.data)),
		    F("reason", why));
	return 0;
}

int
handle_peer_models(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	struct proxyd *d = ipc_peer_daemon(peer);
	struct peer *changed = NULL;
	int r;

	(void)frame;
	r = peers_update_models(
	    &d->peers, (const Ipc__PeerModels *)msg, &changed);
	if (r == -EBADMSG)
		return r;
	if (r < 0)
		LOG(LOG_WARNING, "peer-update-dropped",
		    F("error", log_error(r)));
	if (changed != NULL) {
		verdict_refresh(d, changed->id);
		evidence_refresh(d, changed);
		events_changed(d, EVENTS_PEERS);
	}
	return 0;
}

int
handle_peer_gone(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__PeerGone *in = (const Ipc__PeerGone *)msg;
	struct proxyd *d = ipc_peer_daemon(peer);

	(void)frame;
	if (in->endpoint_id.len != ENDPOINT_ID_LEN)
		return -EBADMSG;
	peers_remove(&d->peers, in->endpoint_id.data, clock_unix_ms());
	events_changed(d, EVENTS_PEERS);
	return 0;
}

int
handle_tunnel_inbound(
    struct ipc_peer *peer, struct ipc_frame *frame, const ProtobufCMessage *msg)
{
	const Ipc__TunnelInbound *in = (const Ipc__TunnelInbound *)msg;

	if (in->endpoint_id.len != ENDPOINT_ID_LEN)
		return -EBADMSG;
	inbound_new(ipc_peer_daemon(peer), in->endpoint_id.data, in->came_ms,
	    take_fd(&frame->fd));
	return 0;
}

bool
proxyd_knows_self(const struct proxyd *d)
{
	if (backends_count(&d->backends) == 0)
		return true;
	for (size_t i = 0; i < d->backends.n; i++)
		if (d->backends.at[i].was_probed)
			return true;
	return false;
}

void
proxyd_tell_self(struct proxyd *d)
{
	struct gossipd_model list[BACKEND_MODELS_MAX];
	struct backend_model *own;
	size_t n = 0;
	int r;

	events_changed(d, EVENTS_BACKENDS);
	if (d->gossipd == NULL)
		return;
	own = models_local(d, &n);
	for (size_t i = 0; i < n; i++) {
		list[i].name = own[i].name;
		list[i].context_length = own[i].context_length;
	}
	r = gossipd_self_update_send(d->gossipd,
	    backends_count(&d->backends) > 0, address_port(&d->api.address),
	    list, n);
	free(own);
	if (r < 0)
		LOG(LOG_WARNING, "self-not-announced",
		    F("error", log_error(r)));
}
