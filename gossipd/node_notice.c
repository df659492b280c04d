// The small frames between nodes: peer down, peer leaving, route table
// request, tunnel map; and the length in front of every frame.  All come
// from strangers and are at most NODE_NOTICE_MAX bytes, so protobuf-c's own
// memory is bounded, too.
#include "gossipd/node_codec.h"

#include <string.h>

int
node_frame_length(const uint8_t *bytes, size_t len, bool fin, size_t max,
    size_t *ret_body_len)
{
	size_t body;

	if (len < NODE_LENGTH_LEN)
		return fin ? -EBADMSG : -EAGAIN;
	body = (size_t)bytes[0] | (size_t)bytes[1] << 8 |
	    (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
	if (body > max)
		return -EMSGSIZE;
	if (len - NODE_LENGTH_LEN < body)
		return fin ? -EBADMSG : -EAGAIN;
	*ret_body_len = body;
	return 0;
}

int
node_notice_decode(const uint8_t *frame, size_t len,
    uint8_t ret_peer_id[static ENDPOINT_ID_LEN])
{
	Node__PeerNotice *m;
	int r = -EBADMSG;

	if (len > NODE_NOTICE_MAX)
		return -EBADMSG;
	if ((m = node__peer_notice__unpack(NULL, len, frame)) == NULL)
		return -EBADMSG;
	if (m->gen == NODE_GEN && m->peer_id.len == ENDPOINT_ID_LEN) {
		memcpy(ret_peer_id, m->peer_id.data, ENDPOINT_ID_LEN);
		r = 0;
	}
	node__peer_notice__free_unpacked(m, NULL);
	return r;
}

int
node_route_request_check(const uint8_t *frame, size_t len)
{
	Node__RouteTableRequest *m;
	bool ok;

	if (len > NODE_NOTICE_MAX)
		return -EBADMSG;
	if ((m = node__route_table_request__unpack(NULL, len, frame)) == NULL)
		return -EBADMSG;
	ok = m->gen == NODE_GEN &&
	    (m->requester_id.len == 0 ||
		m->requester_id.len == ENDPOINT_ID_LEN);
	node__route_table_request__free_unpacked(m, NULL);
	return ok ? 0 : -EBADMSG;
}

static bool
tunnel_is_valid(const Node__TunnelMapEntry *e)
{
	return e->target_peer_id.len == ENDPOINT_ID_LEN &&
	    (!e->has_relay_peer_id ||
		e->relay_peer_id.len == ENDPOINT_ID_LEN) &&
	    e->tunnel_port <= UINT16_MAX;
}

int
node_tunnel_map_check(const uint8_t *frame, size_t len,
    const uint8_t sender[static ENDPOINT_ID_LEN])
{
	Node__TunnelMap *m;
	bool ok;

	if (len > NODE_NOTICE_MAX)
		return -EBADMSG;
	if ((m = node__tunnel_map__unpack(NULL, len, frame)) == NULL)
		return -EBADMSG;
	ok = m->owner_peer_id.len == ENDPOINT_ID_LEN &&
	    memcmp(m->owner_peer_id.data, sender, ENDPOINT_ID_LEN) == 0;
	for (size_t i = 0; ok && i < m->n_entries; i++)
		ok = tunnel_is_valid(m->entries[i]);
	node__tunnel_map__free_unpacked(m, NULL);
	return ok ? 0 : -EBADMSG;
}
