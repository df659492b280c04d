// State of the daemon, and what its files need of each other.
#ifndef PROXYD_PROXYD_H
#define PROXYD_PROXYD_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/address.h"
#include "common/cleanup.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/measure.h"
#include "common/posture.h"
#include "common/process.h"
#include "common/service.h"
#include "common/sizes.h"
#include "proxyd/access.h"
#include "proxyd/answer.h"
#include "proxyd/backend.h"
#include "proxyd/config.h"
#include "proxyd/events.h"
#include "proxyd/evidence.h"
#include "proxyd/json_hints.h"
#include "proxyd/learned.h"
#include "proxyd/listen.h"
#include "proxyd/metrics.h"
#include "proxyd/peers.h"
#include "proxyd/ready_keys.h"
#include "proxyd/reap.h"
#include "proxyd/seats.h"

enum {
	INBOUND_MAX = 4096, // tunnels that peers opened
	INBOUND_PER_PEER_MAX = 1024,
	BODY_MAX = 70 * 1024 * 1024, // of one request
	SCRATCH_BYTES = 64 * 1024,   // one read
	PROCESSES_SHOWN_MAX = 16,
	PROXYD_DAEMONS = 5, // of a node, itself among them
	ADDRESSES_SHOWN_MAX = 16,

	ASK_DEADLINE_MS = 5000, // cryptod, verifier
};

// Bytes of requests and envelopes that are held at a time.
#define HELD_BYTES_MAX ((size_t)512 * 1024 * 1024)

// One common queue for each, so that re-arming per token costs nothing.
struct timeouts {
	const struct timeval *watch_late;  // 50 ms
	const struct timeval *half_closed; // 0.4 s
	const struct timeval *linger;	   // 2 s
	const struct timeval *head;	   // 30 s
	const struct timeval *body;	   // 60 s
	const struct timeval *keep_alive;  // 120 s
	const struct timeval *answer;	   // --answer-seconds of silence
};

struct counters {
	uint64_t requests; // accepted for an answer, from clients
	uint64_t local;
	uint64_t sealed_sent;
	uint64_t sealed_served;
	uint64_t plain_sent;
	uint64_t plain_in; // that came, whatever became of them
	uint64_t plain_served;
	uint64_t plain_refused;
	uint64_t refused; // before anything was asked
	uint64_t retries;
	uint64_t failed;
	uint64_t aborted; // the client went away
	uint64_t queued;
	uint64_t connections;
	uint64_t displaced; // closed, as they were idle, for others
	uint64_t tunnels_in;
};

struct process_shown {
	char name[32];
	uint32_t pid;
	uint64_t rss_bytes; // 0: not told
	uint64_t cpu_ms;
};

struct posture_shown {
	char name[32];
	enum tri value;
	char source[POSTURE_SOURCE_MAX];
};

struct image_shown {
	char name[32];
	uint8_t sha256[IMAGE_HASH_LEN];
};

// What gossipd, cryptod and the parent say about ourselves.
struct self {
	bool has_id;
	uint8_t id[ENDPOINT_ID_LEN];
	bool has_key;
	uint8_t inference_key[INFERENCE_KEY_LEN];
	char *token;			      // owned
	char *mesh_id;			      // owned
	char *version;			      // owned
	char *addresses[ADDRESSES_SHOWN_MAX]; // owned
	size_t n_addresses;
	struct process_shown processes[PROCESSES_SHOWN_MAX];
	size_t n_processes;
	struct posture_shown posture[POSTURE_N];
	size_t n_posture;
	struct image_shown images[PROCESSES_SHOWN_MAX];
	size_t n_images;
	uint32_t announced;			  // POSTURE_V1_*
	char attester[16], attester_problem[128]; // "": not told; none
};

struct client_conn;
struct inbound;
struct reload;
struct request;

struct proxyd {
	struct event_base *base;	    // borrowed
	const struct proxyd_config *config; // borrowed
	struct proxyd_limits limits;
	struct process_channels channels; // owned until they are opened
	struct service *service;	  // borrowed; NULL: there is a parent
	struct ipc_peer *parent, *cryptod, *gossipd, *verifier;
	struct ipc_peer *reloader; // without a parent, while one is here
	struct self self;
	struct access access;
	struct reload *reload;		// owned; while one comes
	struct proxyd_config *reloaded; // owned; what is used of it now
	struct peers peers;
	struct askings askings; // for evidence v2
	size_t n_askings;
	struct backends backends;
	struct learned learned;
	struct listener api, management;
	struct timeouts timeouts;
	struct counters counters;
	struct metrics metrics;
	struct events events;
	struct log_limit peers_log; // refusals that peers cause
	struct ready_keys ready;    // wiped as they are used or grow old
	struct reaper reaper;
	TAILQ_HEAD(, client_conn) conns;
	size_t n_conns;
	size_t n_refused;	    // besides them
	struct seats seats;	    // of those that were not refused
	struct log_limit seats_log; // when there are too few
	TAILQ_HEAD(, inbound) inbounds;
	size_t n_inbounds;
	size_t n_requests;		// being answered
	TAILQ_HEAD(, request) requests; // whose body is complete
	struct event keep_alive;
	TAILQ_HEAD(, party) parties; // with requests here
	// Those that wait for their turn, sorted by it.
	TAILQ_HEAD(request_queue, request) queue;
	size_t n_queued;
	struct event queue_event;
	uint8_t session_key[JSON_HINTS_KEY_LEN]; // hashes of sessions
	size_t held_bytes;			 // see HELD_BYTES_MAX
	struct gather gather;		// of the answer that is being composed
	uint8_t scratch[SCRATCH_BYTES]; // wiped after each use
	uint8_t sealed[SCRATCH_BYTES];	// on its way out, while scratch is read
	bool is_stopping;
	int exit_status;
	struct event stop_timer;
	struct event spare_timer; // gives back what buf keeps
	struct measure measure;
	// Without a parent: what was measured, see measure.c.
	struct posture machine;
	struct measured measured[PROXYD_DAEMONS];
};

// Binds the listeners; fds of the channels are taken in any case.
MUST_CHECK int proxyd_new(struct proxyd **ret, struct event_base *,
    const struct proxyd_config *, struct process_channels *, struct service *,
    char error[static CONFIG_ERROR_MAX]);
void proxyd_free(struct proxyd *);
// Open the channels and begin to serve.
MUST_CHECK int proxyd_watch(struct proxyd *);
// No new connections; ends the loop when all is answered, or in 2 seconds.
void proxyd_stop(struct proxyd *, int exit_status);
// A request is done: the loop may end now.
void proxyd_request_ended(struct proxyd *);
// Tell the parent, or systemd, that we can serve.
MUST_CHECK int proxyd_tell_ready(struct proxyd *);
// Tell gossipd what is served here; when the models change, or gossipd came.
void proxyd_tell_self(struct proxyd *);
// No backend, or one has told its models or been given up for now.
bool proxyd_knows_self(const struct proxyd *);
// Ask cryptod for our keys, now and after a rotation.
void proxyd_ask_keys(struct proxyd *);

// Count memory that a request holds: *held grows or shrinks to now.
// -ENOBUFS: all requests together hold too much.
MUST_CHECK int proxyd_hold(struct proxyd *, size_t *held, size_t now);
void proxyd_unhold(struct proxyd *, size_t *held);

extern const struct ipc_rule proxyd_rules[];
extern const size_t proxyd_n_rules;
enum { PROXYD_CHANNELS = 3, PROXYD_DOORS };
extern const struct service_door proxyd_doors[PROXYD_DOORS];

ipc_handler handle_stop, handle_processes, handle_posture,
    handle_attester_state;		       // handle_parent.c
ipc_handler handle_reload_file, handle_reload; // reload.c
ipc_handler handle_key_changed;		       // handle_cryptod.c
ipc_handler handle_measured;		       // measure.c
ipc_handler handle_mesh_info, handle_peer_update, handle_peer_models,
    handle_peer_gone, handle_tunnel_inbound; // handle_gossipd.c
ipc_handler handle_verdicts_void;	     // verdict.c

#endif
