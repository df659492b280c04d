// Tells proxyd who is in the mesh.  Peers that changed are marked and sent
// when the channel takes them, so that a slow proxyd costs one mark per peer
// and never an update.
#include "gossipd/gossipd.h"

#include <string.h>

#include "common/log.h"
#include "gossipd/token.h"
#include "proxyd/client.h"

void
publish_mark(struct gossipd *d, const uint8_t *id)
{
	struct dirty_peer *dirty;

	HASH_FIND(hh, d->dirty, id, ENDPOINT_ID_LEN, dirty);
	if (dirty != NULL)
		return;
	// Without memory the next change of the peer marks it again.
	if ((dirty = calloc(1, sizeof(*dirty))) == NULL)
		return;
	memcpy(dirty->id, id, sizeof(dirty->id));
	HASH_ADD(hh, d->dirty, id, ENDPOINT_ID_LEN, dirty);
}

static Ipc__PeerRole
role_of(const struct gossip_peer *peer)
{
	switch (peer->role) {
	case GOSSIP_HOST:
		return IPC__PEER_ROLE__PEER_HOST;
	case GOSSIP_CLIENT:
		return IPC__PEER_ROLE__PEER_CLIENT;
	case GOSSIP_WORKER:
		break;
	}
	return IPC__PEER_ROLE__PEER_WORKER;
}

static Ipc__Dialect
dialect_of(const struct gossip_peer *peer)
{
	switch (peer->dialect) {
	case GOSSIP_DIALECT_MESHLLM:
		return IPC__DIALECT__DIALECT_MESHLLM;
	case GOSSIP_DIALECT_SEALED:
		return IPC__DIALECT__DIALECT_SEALED;
	case GOSSIP_DIALECT_PLAIN:
		return IPC__DIALECT__DIALECT_PLAIN;
	case GOSSIP_DIALECT_UNKNOWN:
		break;
	}
	return IPC__DIALECT__DIALECT_UNKNOWN;
}

// The core's clock is monotonic, the status shows the wall's.
static uint64_t
wall_time_of(uint64_t mono_ms)
{
	uint64_t now = clock_mono_ms();

	return mono_ms == 0 ? 0 : clock_unix_ms() - (now - mono_ms);
}

static void
fill_connection(struct gossipd *d, const struct gossip_peer *peer,
    struct proxyd_peer_update *ret, char address[static ADDRESS_TEXT_MAX],
    uint8_t binding[static 32])
{
	struct link *link = mesh_find_link(d, peer->id);
	struct address remote;

	if (link != NULL && link->conn != NULL) {
		ret->connected = true;
		ret->rtt_us = quic_conn_rtt_us(link->conn);
		if (quic_conn_exporter(link->conn, binding) == 0)
			ret->binding = binding;
		quic_conn_remote(link->conn, &remote);
		ret->address = state_address_text(&remote, address);
	} else if (peer->n_addrs != 0) {
		ret->address = state_address_text(&peer->addrs[0], address);
	}
}

static int
publish_peer(struct gossipd *d, const uint8_t *id)
{
	struct proxyd_model models[PEER_MODELS_MAX];
	char address[ADDRESS_TEXT_MAX];
	uint8_t binding[32];
	struct proxyd_peer_update update = { .endpoint_id = id };
	struct gossip_peer peer;

	if (!gossip_find_peer(d->gossip, id, &peer))
		return 0;
	update.role = role_of(&peer);
	update.dialect = dialect_of(&peer);
	update.direct = peer.admitted;
	update.owner = (Ipc__Owner)peer.owner;
	update.owner_id = peer.owner_id;
	update.announcement = peer.has_announcement ? peer.announcement : NULL;
	update.unsigned_key = peer.has_unsigned_key ? peer.unsigned_key : NULL;
	update.version = peer.version;
	update.shows_life = peer.shows_life;
	update.evidence = peer.evidence;
	update.evidence_len = peer.evidence_len;
	update.last_seen_ms = wall_time_of(peer.last_seen_ms);
	update.n_models =
	    peer.n_models < PEER_MODELS_MAX ? peer.n_models : PEER_MODELS_MAX;
	for (size_t i = 0; i < update.n_models; i++)
		models[i] = (struct proxyd_model){ peer.models[i].name,
			peer.models[i].context_length };
	update.models = models;
	fill_connection(d, &peer, &update, address, binding);
	return proxyd_peer_update_send(d->proxyd, &update);
}

void
publish_flush(struct gossipd *d)
{
	struct dirty_peer *dirty, *tmp;

	if (d->proxyd == NULL)
		return;
	HASH_ITER (hh, d->dirty, dirty, tmp) {
		// Full: the marks that are left wait for the next tick.
		if (publish_peer(d, dirty->id) < 0)
			return;
		// uthash; NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
		HASH_DEL(d->dirty, dirty);
		free(dirty);
	}
}

void
publish_all(struct gossipd *d)
{
	publish_mesh_info(d);
	for (size_t i = 0; i < gossip_n_peers(d->gossip); i++)
		publish_mark(d, gossip_peer_id(d->gossip, i));
	publish_flush(d);
}

void
publish_gone(struct gossipd *d, const uint8_t *id)
{
	int r;

	if (d->proxyd == NULL)
		return;
	r = proxyd_peer_gone_send(d->proxyd, id);
	// proxyd then holds a peer that no tunnel reaches: requests to it
	// fail with a clear error.
	if (r < 0)
		LOG(LOG_WARNING, "peer-gone-not-told", F("peer", log_peer(id)),
		    F("error", log_error(r)));
}

void
publish_mesh_info(struct gossipd *d)
{
	char texts[GOSSIPD_ADDRESSES_MAX][ADDRESS_TEXT_MAX];
	const char *list[GOSSIPD_ADDRESSES_MAX];
	char token[TOKEN_MAX + 1];
	struct endpoint_addr self = { .n_addrs = d->n_addresses };
	struct proxyd_mesh_info info = { .endpoint_id = d->endpoint_id,
		.token = token,
		.addresses = list,
		.n_addresses = d->n_addresses,
		.mesh_id = d->mesh_id[0] == '\0' ? NULL : d->mesh_id,
		.version = NODE_VERSION };
	int r;

	if (d->proxyd == NULL)
		return;
	for (size_t i = 0; i < d->n_addresses; i++)
		list[i] = state_address_text(&d->addresses[i], texts[i]);
	memcpy(self.id, d->endpoint_id, sizeof(self.id));
	memcpy(self.addrs, d->addresses, sizeof(self.addrs));
	r = token_write(&self, token);
	if (r == 0)
		r = proxyd_mesh_info_send(d->proxyd, &info);
	if (r < 0)
		LOG(LOG_WARNING, "mesh-info-not-told",
		    F("error", log_error(r)));
}
