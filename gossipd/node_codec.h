// Frames between nodes and their checks (docs/wire-v1, 2.1, 2.8, 3.1).
// Everything that a peer sent passes here before anybody looks at it: gen,
// lengths, identities, UTF-8, memory.
#ifndef GOSSIPD_NODE_CODEC_H
#define GOSSIPD_NODE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/announcement.h"
#include "common/cleanup.h"
#include "common/sizes.h"
#include "proto/node.pb-c.h"

enum {
	NODE_GEN = 1,
	NODE_FRAME_MAX = 8 * 1024 * 1024,   // inclusive
	NODE_LENGTH_LEN = 4,		    // u32 LE before every frame
	NODE_NOTICE_MAX = 1024,		    // of frames that are not gossip
	NODE_DECODE_MAX = 32 * 1024 * 1024, // memory of one decoded frame
	NODE_EVIDENCE_MAX = 64 * 1024,	    // field 38; a longer one is absent
	NODE_REST_MAX = 2048, // fields of a peer that we only pass on
	NODE_TEXT_MAX = 64,   // version, hostname
};

// Field 37, as bits.
enum node_posture {
	NODE_POSTURE_SIP_ENABLED = 1,
	NODE_POSTURE_RDMA_DISABLED = 2,
	NODE_POSTURE_DEBUGGER_BLOCKED = 4,
	NODE_POSTURE_CORE_DUMPS_DISABLED = 8,
};

// Is a frame complete in the bytes of a stream (after the type byte)?
// 0 and the body's length; -EAGAIN: more bytes needed; -EMSGSIZE: announces
// more than max; -EBADMSG: the stream ended before.
MUST_CHECK int node_frame_length(const uint8_t *bytes, size_t len, bool fin,
    size_t max, size_t *ret_body_len);

// A decoded and checked GossipFrame.
struct node_gossip;
// -EBADMSG with the reason (static text), -ENOMEM: beyond NODE_DECODE_MAX.
MUST_CHECK int node_gossip_decode(struct node_gossip **ret,
    const uint8_t *frame, size_t len,
    const uint8_t sender[static ENDPOINT_ID_LEN], const char **ret_reason);
void node_gossip_free(struct node_gossip *);
size_t node_gossip_n_entries(const struct node_gossip *);
const uint8_t *node_gossip_id(const struct node_gossip *, size_t i);

// One announcement; pointers are borrowed from the frame.
struct node_entry {
	const Node__PeerAnnouncement *message;
	const uint8_t *id;
	uint32_t role; // NODE_ROLE_WORKER, _HOST or _CLIENT
	uint32_t http_port;
	// Names that take requests (3.7), not yet checked one by one.
	char *const *models;
	size_t n_models;
	bool hosted_known;
	bool has_key; // field 36 is a key
	uint8_t key[INFERENCE_KEY_LEN];
	bool has_posture;
	uint32_t posture;
};
void node_gossip_entry(
    const struct node_gossip *, size_t i, struct node_entry *ret);
// What is only passed on, encoded; at most NODE_REST_MAX bytes, 0 when it
// would be more.
size_t node_entry_rest(
    const struct node_entry *, uint8_t ret[static NODE_REST_MAX]);

// 0x06 and 0x07, 0x05, 0x03.  -EBADMSG.
MUST_CHECK int node_notice_decode(const uint8_t *frame, size_t len,
    uint8_t ret_peer_id[static ENDPOINT_ID_LEN]);
MUST_CHECK int node_route_request_check(const uint8_t *frame, size_t len);
MUST_CHECK int node_tunnel_map_check(const uint8_t *frame, size_t len,
    const uint8_t sender[static ENDPOINT_ID_LEN]);

// Text for a log line or a table: valid UTF-8 was checked at decoding; here
// control characters are refused and the length is cut at a character.
bool node_copy_text(char *ret, size_t size, const char *text);

#endif
