// Membership as a pure state machine (docs/wire-v1 section 3): events, ticks
// and random numbers in, actions out.  No socket, no clock, no global; memory
// is bounded by the limits below.  The daemon, the simulator and the fuzzer
// drive the same code.
#ifndef GOSSIPD_GOSSIP_H
#define GOSSIPD_GOSSIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/announcement.h"
#include "common/cleanup.h"
#include "common/sizes.h"
#include "gossipd/ownership.h"

enum {
	GOSSIP_PEERS_MAX = 4096, // in the table
	GOSSIP_DEAD_MAX = 4096,	 // dead marks and false reports, each
	GOSSIP_ADDRS_MAX = 16,	 // kept of one peer
	GOSSIP_JOINS_MAX = 32,	 // tokens
	GOSSIP_FRAME_MAX = 8 * 1024 * 1024,
	GOSSIP_TOKEN_MAX = 4096, // text
};

enum gossip_role { GOSSIP_WORKER = 1, GOSSIP_HOST = 2, GOSSIP_CLIENT = 3 };

enum gossip_dialect {
	GOSSIP_DIALECT_UNKNOWN,
	GOSSIP_DIALECT_MESHLLM, // our signed announcement, field 1000
	GOSSIP_DIALECT_SEALED,	// field 36 is a key
	GOSSIP_DIALECT_PLAIN,
};

struct gossip_model {
	char name[MODEL_NAME_MAX + 1];
	uint32_t context_length; // 0: unknown
};

// What this node says of itself.  Borrowed by the calls that take it.
struct gossip_self {
	bool is_host;	// has a backend that serves something
	bool is_client; // no backend configured
	uint16_t api_port;
	const struct gossip_model *models;
	size_t n_models;
	const struct address *addrs;
	size_t n_addrs;
	bool has_announcement;
	uint8_t announcement[ANNOUNCEMENT_LEN];
	uint8_t inference_key[INFERENCE_KEY_LEN];
	const char *version;
	const uint8_t *evidence; // field 38, or NULL
	size_t evidence_len;
	uint32_t posture; // field 37, bits of node_codec.h; 0: not told
};

// The public view of a peer.  Pointers are good until the next call.
struct gossip_peer {
	uint8_t id[ENDPOINT_ID_LEN];
	enum gossip_role role;
	enum gossip_dialect dialect;
	bool admitted; // told us about itself over its own connection
	bool has_announcement;
	uint8_t announcement[ANNOUNCEMENT_LEN];
	bool has_unsigned_key; // field 36, from the node itself, no signature
	uint8_t unsigned_key[INFERENCE_KEY_LEN];
	const struct gossip_model *models; // routable now
	size_t n_models;
	const struct address *addrs;
	size_t n_addrs;
	const char *version;   // "" when not told
	const char *hostname;  // "" when not told
	uint64_t last_seen_ms; // of the clock of the events; 0: never directly
	// Of the node itself, or next to its own signed announcement:
	enum ownership owner; // of its certificate; owner_id when signed
	uint8_t owner_id[OWNER_ID_LEN];
	bool has_posture;
	uint32_t posture; // bits of node_codec.h
	bool shows_life;  // of the node itself: while it works on a request
	const uint8_t *evidence; // NULL: none
	size_t evidence_len;
};

struct gossip_config {
	uint8_t endpoint_id[ENDPOINT_ID_LEN];
	char mesh_id[65]; // "" : none yet
	uint64_t seed;	  // of the state machine's random choices
};

struct gossip;

enum gossip_frame_kind { // stream type bytes
	GOSSIP_FRAME_EXCHANGE = 0x01,
	GOSSIP_FRAME_TUNNEL_MAP = 0x03, // checked, then forgotten
	GOSSIP_FRAME_ROUTES = 0x05,
	GOSSIP_FRAME_PEER_DOWN = 0x06,
	GOSSIP_FRAME_PEER_LEAVING = 0x07,
};

enum gossip_action_kind {
	// Connect to id at addrs; report gossip_on_conn_up or _dial_failed.
	GOSSIP_DIAL,
	// Open a stream of type 0x01 on id's connection, send frame, FIN;
	// report gossip_on_answer or gossip_on_exchange_failed.
	GOSSIP_EXCHANGE,
	// Send frame as the answer on the inbound stream `stream`, FIN.
	GOSSIP_ANSWER,
	// Close the inbound stream without an answer.
	GOSSIP_REFUSE,
	// Open a stream of type `frame_kind` on id's connection, send, FIN.
	GOSSIP_NOTICE,
	// Open a stream without a byte, finish it; report gossip_on_probe.
	GOSSIP_PROBE,
	// Drop the connection to id.
	GOSSIP_DISCONNECT,
	// The public view of id changed, or id is gone from the table.
	GOSSIP_PEER_CHANGED,
	GOSSIP_PEER_GONE,
	// A mesh id was adopted or made; to be stored (text in `text`).
	GOSSIP_MESH_ID,
	// An event for the log: name in `text`, peer id, reason in `detail`.
	GOSSIP_LOG,
};

struct gossip_action {
	enum gossip_action_kind kind;
	uint8_t id[ENDPOINT_ID_LEN];
	uint8_t frame_kind;
	unsigned deadline_ms;
	void *stream; // GOSSIP_ANSWER, GOSSIP_REFUSE: as given to on_frame
	const uint8_t *frame; // with length prefix, without type byte;
	size_t frame_len;     // good until the next gossip_next_action
	const struct address *addrs;
	size_t n_addrs;
	const char *text, *detail;
	bool is_warning;
};

MUST_CHECK int gossip_new(struct gossip **ret, const struct gossip_config *);
void gossip_free(struct gossip *);

// The mesh id, "" when none yet.
const char *gossip_mesh_id(const struct gossip *);

// Every event carries the time, milliseconds of a clock that never goes back,
// and afterwards gossip_next_action is called until it returns false.
bool gossip_next_action(struct gossip *, struct gossip_action *ret);

void gossip_on_tick(struct gossip *, uint64_t now_ms); // about once a second
// When one more is due before that; UINT64_MAX: it is not.
uint64_t gossip_next_tick_ms(const struct gossip *);
void gossip_on_self(
    struct gossip *, uint64_t now_ms, const struct gossip_self *);
// A token to join, tried in order, again every 60 s.  -EINVAL: damaged, with
// the reason (static text).
MUST_CHECK int gossip_join(struct gossip *, uint64_t now_ms, const char *token,
    const char **ret_reason);
// One connection per peer.  When a second one to the same id comes up, the
// daemon asks which one to keep; it reports conn_up for the new one only if
// that wins, closes the other, and reports conn_down when none is left.
// Nodes that dialled each other at once decide alike.
bool gossip_new_conn_wins(const struct gossip *, uint64_t now_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], bool new_is_outbound);
void gossip_on_conn_up(struct gossip *, uint64_t now_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], const struct address *remote,
    bool outbound);
void gossip_on_conn_down(
    struct gossip *, uint64_t now_ms, const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_on_dial_failed(
    struct gossip *, uint64_t now_ms, const uint8_t id[static ENDPOINT_ID_LEN]);
// A complete frame arrived on an inbound stream of `kind`; bytes without the
// length prefix.  unix_ms: wall clock, for announcements' validity.
void gossip_on_frame(struct gossip *, uint64_t now_ms, uint64_t unix_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], uint8_t kind, void *stream,
    const uint8_t *frame, size_t len);
void gossip_on_answer(struct gossip *, uint64_t now_ms, uint64_t unix_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], const uint8_t *frame, size_t len);
void gossip_on_exchange_failed(
    struct gossip *, uint64_t now_ms, const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_on_probe(struct gossip *, uint64_t now_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], bool alive);
// A tunnel stream to id could not be opened though it is connected (counts
// as death), or a request on it failed (causes one exchange).
void gossip_on_tunnel_error(struct gossip *, uint64_t now_ms,
    const uint8_t id[static ENDPOINT_ID_LEN], bool is_death);
// Clean exit: emits PeerLeaving to every connection.
void gossip_on_shutdown(struct gossip *, uint64_t now_ms);

// May streams of this peer that need admission be served?
bool gossip_is_admitted(
    const struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
// false: not in the table.  Addresses are what a tunnel may dial.
bool gossip_find_peer(struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN],
    struct gossip_peer *ret);
size_t gossip_n_peers(const struct gossip *);
// Of one of them; borrowed, good until the next event.
const uint8_t *gossip_peer_id(const struct gossip *, size_t i);

#endif
