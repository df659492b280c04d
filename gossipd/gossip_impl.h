// Inside of the gossip core: its state and what its files offer each other.
//   gossip_table.c    peers, connections, dead marks: find, insert, remove
//   gossip_fields.c   one peer's fields, bounded
//   gossip_merge.c    what a frame says of whom, and who may say it
//   gossip_job.c      dial, exchange, probe: one at a time per peer
//   gossip_schedule.c joins, heartbeat, follow-ups, ageing
//   gossip_down.c     PeerDown and PeerLeaving
//   gossip_view.c     frames that we send
//   gossip_action.c   the queue of actions
//   gossip.c          events
#ifndef GOSSIPD_GOSSIP_IMPL_H
#define GOSSIPD_GOSSIP_IMPL_H

#include "gossipd/addr_json.h"
#include "gossipd/gossip.h"
#include "gossipd/node_codec.h"

enum {
	SECOND = 1000,
	JOIN_DEADLINE = 15 * SECOND,
	JOIN_RETRY = 5 * SECOND,
	JOIN_AGAIN = 60 * SECOND,
	JOIN_SOON = SECOND / 4, // after a loss, then twice as long each time
	GOSSIP_DEADLINE = 10 * SECOND,
	VERIFY_DIAL_DEADLINE = 8 * SECOND,
	PROBE_DEADLINE = 5 * SECOND,
	DEADLINE_GRACE = 2 * SECOND, // the daemon reports first
	HEARTBEAT = 60 * SECOND,
	FRESH = 180 * SECOND, // relayed; forgiven
	FORGOTTEN = 360 * SECOND,
	DEAD_TIME = 300 * SECOND,
	HEARSAY_DEAD_TIME = 60 * SECOND, // one that we never spoke with
	LIE_TIME = 600 * SECOND,
	RECONNECT_PAUSE = 10 * SECOND,
	RACE = 10 * SECOND, // two connections so close were dialled at once
	ANNOUNCE_PAUSE = 1 * SECOND,

	LINKS_MAX = 1024,
	JOBS_MAX = 1024,
	DIALS_MAX = 16, // at once; joins are extra
	FOLLOW_UPS_PER_FRAME = 16,
	FOLLOW_UPS_MAX = 256, // waiting
	FOLLOW_UP_DIALS_MAX = 8,
	FOLLOW_LINKS_MAX = 256, // with so many, no more because of gossip
	HEARTBEAT_PEERS = 5,
	FAILURES_MAX = 2,
	BUCKETS = 8192,		 // a power of two
	FRAME_COST = 1 * SECOND, // 60 frames a minute of one peer
	FRAME_BURST = 20 * SECOND,
	NEW_PER_FRAME = 512,		       // ids learned, points checked
	VERIFY_PER_FRAME = 512,		       // signatures checked
	INTRODUCED_MAX = GOSSIP_PEERS_MAX / 4, // by one peer
	VERIFICATIONS_MAX = 64,		       // of PeerDown, at once
	VERIFICATIONS_PER_PEER = 8,
	LIES_MAX = 16,	    // remembered of one peer; then it is not heard
	ROUTES_MAX = 65536, // entries of a route table
	MODELS_FREE = 16,   // that any peer may have
	MODELS_POOL_DIRECT = 131072, // the rest, of all admitted peers
	MODELS_POOL_RELAYED = 32768, // and of all others
	EVIDENCE_POOL = 32 * 1024 * 1024,
};

struct mark {
	uint8_t key[2 * ENDPOINT_ID_LEN];
	uint64_t until;
	uint32_t next; // in the bucket, index + 1
	bool used;
};

// Ids, or pairs of ids, until a time; the oldest gives way.
struct marks {
	struct mark *slots; // owned, GOSSIP_DEAD_MAX
	uint32_t *buckets;  // owned, BUCKETS, index + 1
	uint32_t hand;
};

struct link {
	uint8_t id[ENDPOINT_ID_LEN];
	uint64_t since_ms;
	bool outbound;
	struct address remote;
	uint64_t allowance_ms, refilled_ms; // token bucket of frames
	uint64_t limit_logged_ms;
	uint64_t doubted_ms; // last exchange because a request failed
	unsigned n_lies;
	uint64_t lied_ms;
};

struct peer {
	uint8_t id[ENDPOINT_ID_LEN];
	struct peer *next;	 // in the bucket
	size_t index;		 // in gossip.peers
	struct peer *introducer; // borrowed; who first told of it
	unsigned n_introduced;
	struct link *link; // borrowed; NULL: not connected

	enum gossip_role role;
	enum gossip_dialect dialect;
	bool admitted, hosted_known;
	bool change_queued;
	uint16_t http_port;
	uint64_t seen_ms, mentioned_ms, learned_ms, reconnect_ms;
	unsigned failures;

	bool has_announcement, has_unsigned_key, has_posture, has_good;
	bool shows_life;
	uint8_t announcement[ANNOUNCEMENT_LEN];
	struct announcement opened;
	uint8_t unsigned_key[INFERENCE_KEY_LEN];
	uint32_t posture;
	enum ownership owner; // of field 28, and whose it is
	uint8_t owner_id[OWNER_ID_LEN];
	struct address good; // an address where it was reached
	char version[NODE_TEXT_MAX + 1];
	char hostname[NODE_TEXT_MAX + 1];
	struct endpoint_addr addr;
	struct gossip_model *models; // owned
	size_t n_models, n_pooled;
	bool pooled_direct; // which pool n_pooled is of
	uint8_t *evidence;  // owned
	size_t evidence_len;
	uint8_t *rest; // owned; encoded fields to pass on
	size_t rest_len;
};

enum job_state { JOB_DIALING, JOB_EXCHANGING, JOB_PROBING };
enum job_flags {
	JOB_FOLLOW_UP = 1, // dial those whom the answer tells of
	JOB_JOIN = 2,
	JOB_HEARTBEAT = 4,
	JOB_RECONNECT = 8,
	JOB_VERIFY = 16,
	JOB_FOLLOWING = 32, // is itself a follow-up
	JOB_CHANGE = 64,    // tell our news
};

struct job {
	uint8_t id[ENDPOINT_ID_LEN];
	enum job_state state;
	unsigned flags;
	bool again; // our news came while it ran
	uint64_t deadline_ms;
	uint8_t reporter[ENDPOINT_ID_LEN]; // JOB_VERIFY
};

struct join {
	struct endpoint_addr addr;
	bool armed, active;
	unsigned tries;
	uint64_t next_ms;
	uint64_t pause_ms; // between tries after a loss; 0: none of these
};

// A queued action; frames are built when it is taken out.
struct item {
	enum gossip_action_kind kind;
	uint8_t id[ENDPOINT_ID_LEN];
	uint8_t about[ENDPOINT_ID_LEN]; // GOSSIP_NOTICE
	uint8_t frame_kind;
	bool is_warning;
	unsigned deadline_ms;
	void *stream;
	const char *text, *detail; // static
};

struct self {
	bool known;
	enum gossip_role role;
	uint16_t api_port;
	struct gossip_model *models; // owned
	size_t n_models;
	struct endpoint_addr addr;
	bool has_announcement;
	uint8_t announcement[ANNOUNCEMENT_LEN];
	uint8_t inference_key[INFERENCE_KEY_LEN];
	char version[NODE_TEXT_MAX + 1];
	uint8_t *evidence; // owned
	size_t evidence_len;
	uint32_t posture;
};

struct gossip {
	char mesh_id[65];
	uint64_t now;		   // of the last event
	uint64_t unix_ms, unix_at; // wall clock told at event time unix_at
	uint64_t rng;
	uint8_t hash_key[16];

	struct peer **buckets; // owned, BUCKETS
	struct peer **peers;   // owned, GOSSIP_PEERS_MAX
	size_t n_peers;
	size_t pool_direct, pool_relayed, evidence_total;
	struct marks dead, lies;
	struct link **links; // owned, LINKS_MAX
	size_t n_links;
	struct job **jobs; // owned, JOBS_MAX
	size_t n_jobs;

	struct join joins[GOSSIP_JOINS_MAX];
	size_t n_joins, join_cursor;
	bool joined_once; // or given up: the order no longer matters
	uint64_t rejoin_ms, heartbeat_ms;
	uint8_t follow_ups[FOLLOW_UPS_MAX][ENDPOINT_ID_LEN];
	size_t follow_first, n_follow_ups;
	bool news;	     // to be told to all connections
	uint64_t news_ms;    // told last
	uint64_t generation; // of everything that frames show

	struct self self;

	struct item *items; // owned ring
	size_t items_cap, first_item, n_items;
	uint8_t *frame; // owned; of the last action
	size_t frame_len, frame_cap;
	uint64_t frame_generation, frame_now;
	bool frame_sealed, frame_cached;

	struct address scratch_addrs[2 * ADDR_JSON_ADDRS_MAX + 1];
	struct gossip_model scratch_models[PEER_MODELS_MAX];
};

// gossip_table.c
uint64_t gossip_random(struct gossip *);
uint64_t gossip_unix_now(const struct gossip *); // 0: not told yet
MUST_CHECK int gossip_table_init(struct gossip *);
void gossip_table_free(struct gossip *);
struct peer *gossip_peer_find(
    const struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
// NULL: no room.  by: who told; NULL: the node itself.
struct peer *gossip_peer_insert(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN], struct peer *by);
void gossip_peer_remove(struct gossip *, struct peer *);
bool gossip_peer_is_fresh(const struct gossip *, const struct peer *);
bool gossip_peer_can_be_reached(const struct peer *);
struct link *gossip_link_find(
    const struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
struct link *gossip_link_insert(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_link_remove(struct gossip *, struct link *);
bool gossip_is_dead(
    const struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_mark_dead(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN], uint64_t for_ms);
void gossip_clear_dead(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
bool gossip_is_lie(const struct gossip *,
    const uint8_t reporter[static ENDPOINT_ID_LEN],
    const uint8_t target[static ENDPOINT_ID_LEN]);
void gossip_mark_lie(struct gossip *,
    const uint8_t reporter[static ENDPOINT_ID_LEN],
    const uint8_t target[static ENDPOINT_ID_LEN]);

// gossip_fields.c: each returns whether the public view changed.
bool gossip_set_models(
    struct gossip *, struct peer *, const struct node_entry *);
bool gossip_set_texts(struct peer *, const struct node_entry *);
bool gossip_set_addr(struct peer *, const struct endpoint_addr *);
bool gossip_add_addr(struct peer *, const struct endpoint_addr *);
bool gossip_set_evidence(
    struct gossip *, struct peer *, const struct node_entry *);
void gossip_set_rest(struct peer *, const struct node_entry *);
void gossip_free_fields(struct gossip *, struct peer *);

// gossip_merge.c
enum follow { FOLLOW_NONE, FOLLOW_NEW, FOLLOW_UNCONNECTED };
void gossip_merge(struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN],
    const struct node_gossip *, enum follow);
bool gossip_announcement_is_valid(const struct gossip *, const struct peer *);

// gossip_job.c
struct job *gossip_job_find(
    const struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
// 0, or the job that runs for this id takes the flags; -EHOSTUNREACH: no
// address; -EBUSY: too many.
MUST_CHECK int gossip_job_start(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN], unsigned flags);
void gossip_job_connected(struct gossip *, struct job *);
void gossip_job_end(struct gossip *, struct job *, bool ok);
void gossip_jobs_expire(struct gossip *);
size_t gossip_jobs_count(
    const struct gossip *, unsigned flags, const uint8_t *reporter);
size_t gossip_dials_count(const struct gossip *, unsigned flags);

// gossip_schedule.c
void gossip_schedule(struct gossip *);
void gossip_tell_news(struct gossip *);
struct join *gossip_join_find(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_join_soon(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_join_ended(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN], bool ok);
void gossip_heartbeat_ended(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN], bool ok);
void gossip_follow_up(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_follow_ups_pump(struct gossip *);

// gossip_down.c
void gossip_peer_died(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_down_reported(struct gossip *,
    const uint8_t reporter[static ENDPOINT_ID_LEN],
    const uint8_t target[static ENDPOINT_ID_LEN]);
void gossip_down_verified(struct gossip *,
    const uint8_t reporter[static ENDPOINT_ID_LEN],
    const uint8_t target[static ENDPOINT_ID_LEN], bool alive);
void gossip_peer_left(
    struct gossip *, const uint8_t id[static ENDPOINT_ID_LEN]);

// gossip_view.c: into gossip.frame, with the length in front.
MUST_CHECK int gossip_build_exchange(
    struct gossip *, const uint8_t target[static ENDPOINT_ID_LEN]);
MUST_CHECK int gossip_build_routes(struct gossip *);
MUST_CHECK int gossip_build_notice(
    struct gossip *, const uint8_t about[static ENDPOINT_ID_LEN]);

// gossip_action.c
void gossip_push(struct gossip *, const struct item *);
void gossip_push_id(struct gossip *, enum gossip_action_kind,
    const uint8_t id[static ENDPOINT_ID_LEN]);
void gossip_push_changed(struct gossip *, struct peer *);
void gossip_log(struct gossip *, const uint8_t *id, const char *event,
    const char *detail, bool is_warning);

#endif
