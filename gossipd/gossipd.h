// State of the daemon that owns the mesh: connections, the gossip core, the
// streams on them.  Not trusted with anything but delivery: no plaintext, no
// secret key, and whatever it tells proxyd about keys is checked there.
#ifndef GOSSIPD_GOSSIPD_H
#define GOSSIPD_GOSSIPD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "common/address.h"
#include "common/announcement.h"
#include "common/ipc.h"
#include "common/landlock.h"
#include "common/log.h"
#include "common/measure.h"
#include "common/options.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "gossipd/gossip.h"
#include "gossipd/quic.h"
#include "gossipd/stall.h"

#define NODE_VERSION "0.66.0+meshllm." PACKAGE_VERSION

enum {
	GOSSIPD_LISTEN_MAX = 2,
	GOSSIPD_ADDRESSES_MAX = 16, // that we announce
	TUNNEL_PENDING_MAX = 256,   // waiting for one connection to come up
	// That one peer may have open to us; of the 1024 streams that QUIC
	// grants it some are left for gossip.
	TUNNELS_PER_PEER_MAX = 1008,
	// A type that the existing network does not use.
	EVIDENCE_STREAM_TYPE = 0xe2,
	TUNNEL_STREAM_TYPE = 0x04,
	EVIDENCE_STREAMS_MAX = 256, // questions of all peers at once
	EVIDENCE_PER_PEER_MAX = 4,  // all but one are told that we are busy
	CONTROL_PER_PEER_MAX = 32,  // its control streams at once
	CONTROL_BYTES_MAX = 64 * 1024 * 1024, // of all frames being read
	CONTROL_DEADLINE_MS = 15 * 1000, // for a type byte, a frame, an answer
	REFUSALS_LOGGED = 20, // of one peer per minute; the rest is counted
	REFUSAL_WINDOW_MS = 60 * 1000,
	DIAL_DEADLINE_MS = 10 * 1000,
	GREETING_MS = 60, // other programs admit us so long after they answered
	KEYS_DEADLINE_MS = 10 * 1000,
	EVIDENCE_INTERVAL_MS = 10 * 1000, // the signer is asked this often
	PUBLISH_INTERVAL_MS = 10 * 1000,  // rtt and last seen, to the status
};

struct gossipd_options {
	char *config;
	char *doors;
	char *state_dir;
	char *top_state_dir; // of all daemons, in the file
	struct option_list mesh, advertise, join;
	char *log_level, *log_format;
};

extern const struct option gossipd_options[];
extern const size_t gossipd_n_options;

enum gstream_kind {
	GSTREAM_NEW,	  // inbound, no type byte yet
	GSTREAM_CONTROL,  // inbound frame of 0x01, 0x05, 0x06, 0x07
	GSTREAM_ANSWERED, // inbound, our answer is on its way
	GSTREAM_EXCHANGE, // ours, waiting for the answer
	GSTREAM_NOTICE,	  // ours, nothing comes back
	GSTREAM_PROBE,	  // ours, its end proves life
	GSTREAM_TUNNEL,
	GSTREAM_EVIDENCE, // inbound, a question for evidence v2
};

struct link;

// What a quic_stream's data points to: the first member of each kind.
struct gstream {
	enum gstream_kind kind;
	struct quic_stream *stream; // borrowed; NULL once closed
	struct link *link;	    // borrowed
	uint64_t deadline_ms;	    // monotonic; 0: none
	TAILQ_ENTRY(gstream) entry; // in gossipd.waiting while deadline_ms != 0
};

// A control frame that is being read, in either direction.
struct control {
	struct gstream base;
	uint8_t type;
	uint8_t prefix[4]; // length, LE
	size_t have_prefix;
	size_t want, have;
	uint8_t *bytes; // owned, grows with what arrived
	size_t size;
};

// A tunnel still without a connection.
struct pending_tunnel {
	TAILQ_ENTRY(pending_tunnel) entry;
	int fd;		     // owned
	bool is_evidence;    // our question for evidence v2
	uint32_t request_id; // of proxyd
	uint64_t deadline_ms;
};

// One peer that we have, or want, a connection to.
struct link {
	uint8_t id[ENDPOINT_ID_LEN];
	struct gossipd *daemon;	   // borrowed
	struct quic_conn *conn;	   // streams are opened here; NULL: none is up
	struct quic_conn *dialing; // NULL: no dial of ours is under way
	bool dial_for_core;	// the core asked and wants to hear how it went
	unsigned n_conns;	// up, conn included
	bool greeted;		// it has taken our gossip since conn came up
	uint64_t greeted_at_ms; // monotonic: when that will be; 0: not yet
	unsigned n_tunnels; // in both directions, inbound ones counted below
	unsigned n_tunnels_in, n_control;
	unsigned n_wide;	    // of n_tunnels_in, with a larger buffer
	unsigned n_evidence;	    // inbound
	uint64_t evidence_until_ms; // monotonic: its questions are used up to
	unsigned n_refused;	    // streams, since refused_since_ms
	uint64_t refused_since_ms;
	TAILQ_HEAD(, pending_tunnel) pending;
	unsigned n_pending;
	UT_hash_handle hh;
};

struct dirty_peer {
	uint8_t id[ENDPOINT_ID_LEN];
	UT_hash_handle hh;
};

struct gossipd {
	struct event_base *base;	// borrowed
	struct gossipd_options options; // strings borrowed from main
	const char *state_dir;
	struct service *service; // borrowed; NULL: there is a parent
	struct ipc_peer *parent, *cryptod, *cryptod_tls, *proxyd, *signer;
	struct event *tls_event; // owned; the end of cryptod_tls is seen
	bool tls_is_lost; // cryptod_tls was closed, and is still to be freed
	struct quic *quic;
	struct gossip *gossip;
	struct event *tick, *tick_soon, *greet;
	const struct timeval *watch_late; // common timeout: see tunnel.c
	struct link *links;		  // by id
	TAILQ_HEAD(, gstream) waiting;	  // with a deadline, oldest first
	size_t control_bytes;
	struct dirty_peer *dirty; // to be told to proxyd
	uint64_t published_ms;
	uint8_t *evidence; // owned; field 38, from the signer, opaque; or NULL
	size_t evidence_len;
	uint64_t evidence_ms; // when it was asked for last
	unsigned n_evidence;  // questions of peers
	uint64_t started_ms;

	uint8_t endpoint_id[ENDPOINT_ID_LEN];
	uint8_t inference_key[INFERENCE_KEY_LEN];
	bool has_announcement;
	uint8_t announcement[ANNOUNCEMENT_LEN];
	struct address addresses[GOSSIPD_ADDRESSES_MAX];
	size_t n_addresses;
	bool is_host, is_client;
	uint16_t api_port;
	struct gossip_model models[PEER_MODELS_MAX];
	size_t n_models;
	// The update that is being received, until its final part.
	struct {
		bool open, host;
		uint16_t api_port;
		struct gossip_model models[PEER_MODELS_MAX];
		size_t n_models;
	} incoming;
	int mesh_id_fd; // -1 or open for writing
	char mesh_id[65];
	struct log_limit gossip_log; // what peers cause
	bool stopping, running_actions;
	int exit_status;
	struct measure measure;
	struct measured signer_measured;
	bool is_confined; // what was measured is in force
	uint32_t posture; // POSTURE_V1_*, to announce
	struct stall stall;
};

// ---- gossipd.c
MUST_CHECK int gossipd_new(struct gossipd **ret, struct event_base *,
    const struct gossipd_options *, const struct process_channels *,
    struct service *);
void gossipd_free(struct gossipd *);
// Everything that needs a path or cryptod's first answers; runs the loop
// until these are there.
MUST_CHECK int gossipd_start(struct gossipd *);
MUST_CHECK int gossipd_ready(struct gossipd *);
void gossipd_stop(struct gossipd *);

// ---- rules.c
extern const struct ipc_rule gossipd_rules[];
extern const size_t gossipd_n_rules;
enum { GOSSIPD_CHANNELS = 4 };
extern const struct service_door gossipd_doors[GOSSIPD_CHANNELS];

// ---- channels.c
// Those of the parent are taken; else they come through the doors.
MUST_CHECK int channels_open(struct gossipd *, const struct process_channels *);
// To proxyd, where there is no parent: of us and of the signer.
void channels_tell_measured(struct gossipd *);
void channels_leave(struct gossipd *); // say that their end is no failure
// A quic_sign_fn; arg is the gossipd.
int gossipd_sign(void *arg, const uint8_t *content, size_t len,
    uint8_t ret_signature[static SIGNATURE_LEN]);

// ---- sandbox.c
extern const struct sandbox_rule gossipd_sandbox[];
extern const size_t gossipd_n_sandbox;
extern const struct landlock_policy gossipd_landlock;

// ---- handle_node.c: cryptod, proxyd, signer, parent
ipc_handler handle_posture, handle_measured, handle_key_changed,
    handle_tunnel_request, handle_evidence_stream_request, handle_self_update,
    handle_self_models, handle_stop;
// result: an Ipc__Result
void gossipd_tunnel_reply(struct gossipd *, uint32_t request_id, int result);
// conn: that the stream is on; not looked at unless RESULT_OK.
void gossipd_evidence_stream_reply(
    struct gossipd *, uint32_t request_id, int result, struct quic_conn *conn);
MUST_CHECK int gossipd_refresh_keys(struct gossipd *);
// Ask the signer, if it is time.
void gossipd_refresh_evidence(struct gossipd *, uint64_t now_ms);

// ---- state.c: the two small files, and the addresses to announce
MUST_CHECK int state_load_reset_key(const char *dir, uint8_t ret[static 32]);
// Opens the file for later writes; "" when there is no mesh id yet.
MUST_CHECK int state_open_mesh_id(
    const char *dir, int *ret_fd, char ret_id[static 65]);
MUST_CHECK int state_store_mesh_id(int fd, const char *id);
// Numeric addresses of this machine for a socket bound to `bound`.
MUST_CHECK int state_own_addresses(const struct address *bound,
    struct address *ret, size_t max, size_t *ret_n);

// ADDR:PORT or [ADDR]:PORT; returns ret.
const char *state_address_text(
    const struct address *, char ret[static ADDRESS_TEXT_MAX]);

// ---- mesh.c: links, and the gossip core's actions
extern const struct quic_callbacks mesh_callbacks;
struct link *mesh_find_link(struct gossipd *, const uint8_t *id);
// Carry out what the core wants now.  Call after every event given to it.
void mesh_run_actions(struct gossipd *);
void mesh_tick(struct gossipd *, uint64_t now_ms);
void mesh_tell_self(struct gossipd *);
// The peer answered our exchange, so it will admit our tunnels.
void mesh_link_greeted(struct link *);
void mesh_start_pending(struct gossipd *, uint64_t now_ms);
// proxyd is gone: nobody waits for tunnels that are not open yet.
void mesh_forget_pending(struct gossipd *);
// Dial unless a connection is up or on its way.
MUST_CHECK int mesh_dial(struct gossipd *, const uint8_t *id,
    const struct address *addrs, size_t n, unsigned deadline_ms, bool for_core);
MUST_CHECK int mesh_get_link(
    struct gossipd *, const uint8_t *id, struct link **ret);
void mesh_drop_link_if_unused(struct link *);
bool mesh_is_our_dialect(struct gossipd *, const uint8_t *id);

// ---- control.c: frames on streams
void control_opened(struct link *, struct quic_stream *);
void control_data(struct gstream *, const uint8_t *data, size_t len, bool fin);
void control_closed(struct gstream *);
MUST_CHECK int control_exchange(
    struct link *, const uint8_t *frame, size_t len, unsigned deadline_ms);
MUST_CHECK int control_notice(
    struct link *, uint8_t type, const uint8_t *frame, size_t len);
MUST_CHECK int control_probe(struct link *, unsigned deadline_ms);
void control_answer(struct quic_stream *, const uint8_t *frame, size_t len);
void control_expire(struct gossipd *, uint64_t now_ms);
void gstream_set_deadline(struct gstream *, uint64_t at_ms);
// A peer that does nothing but offend must not fill the log.
void control_log_refusal(struct link *, uint8_t type, const char *reason);

// ---- tunnel.c: a stream and a descriptor
// Takes fd, and what was written to its other end already.  0 may also mean
// that the tunnel is gone again: its descriptor says so.
// type: of the stream, 0x04 or EVIDENCE_STREAM_TYPE.
MUST_CHECK int tunnel_open(struct link *, uint8_t type, int fd);
MUST_CHECK int tunnel_accept(struct link *, struct quic_stream *,
    const uint8_t *first, size_t len, bool fin);
void tunnel_data(struct gstream *, const uint8_t *data, size_t len, bool fin);
void tunnel_writable(struct gstream *);
void tunnel_aborted(struct gstream *);
void tunnel_closed(struct gstream *);

// ---- evidence.c: questions for our evidence v2
MUST_CHECK int evidence_accept(struct link *, struct quic_stream *,
    const uint8_t *first, size_t len, bool fin);
void evidence_data(struct gstream *, const uint8_t *data, size_t len, bool fin);
void evidence_closed(struct gstream *);
void evidence_expired(struct gstream *);

// ---- publish.c: what proxyd learns
void publish_mark(struct gossipd *, const uint8_t *id);
void publish_flush(struct gossipd *);
void publish_all(struct gossipd *); // to a new proxyd
void publish_gone(struct gossipd *, const uint8_t *id);
void publish_mesh_info(struct gossipd *);

#endif
