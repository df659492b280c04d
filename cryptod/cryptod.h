// State of cryptod, and what its files share.
#ifndef CRYPTOD_CRYPTOD_H
#define CRYPTOD_CRYPTOD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ipc.h"
#include "common/landlock.h"
#include "common/measure.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "common/service.h"
#include "cryptod/ephemeral.h"
#include "cryptod/identity.h"
#include "cryptod/inference.h"
#include "cryptod/state.h"

enum {
	CRYPTOD_ROTATE_SECONDS_MIN = 60,
	CRYPTOD_ROTATE_SECONDS_MAX = 7 * 24 * 3600,
	CRYPTOD_ROTATE_SECONDS = 24 * 3600,
	// Identity, two inference keys, what is derived, ready key pairs.
	CRYPTOD_SECRET_SLOTS = 192, // three pages; most for EPHEMERAL_READY_MAX
};

struct cryptod_config {
	const char *state_dir;
	const char *credentials; // folder of systemd's credentials, or NULL
	uint64_t rotate_ms;
	size_t replay_entries; // a power of two
	enum secret_kind secret_kind;
};

struct cryptod {
	struct event_base *base;  // borrowed
	struct secret_pool *pool; // owned, as all below
	struct identity *identity;
	struct inference *inference;
	struct ephemeral *ephemeral;
	struct event *tick_event, *refill_event;
	struct ipc_peer *peers[ROLE_MAX]; // NULL: gone
	struct service *service;	  // borrowed; NULL: there is a parent
	bool is_stopped;		  // in good order
	struct measure measure;
};

extern const struct ipc_rule cryptod_rules[];
extern const size_t cryptod_n_rules;
extern const struct sandbox_rule cryptod_sandbox[];
extern const size_t cryptod_n_sandbox;
extern const struct landlock_policy cryptod_landlock;
// The roles of the descriptors from PROCESS_FIRST_CHANNEL_FD on.
extern const enum ipc_role cryptod_channels[];
extern const size_t cryptod_n_channels;
extern const struct service_door cryptod_doors[];

// Everything that needs a file or much memory.  On failure error says why.
MUST_CHECK int cryptod_new(struct cryptod **ret, const struct cryptod_config *,
    struct event_base *, char error[static STATE_ERROR_MAX]);
void cryptod_free(struct cryptod *);
void cryptod_stop(struct cryptod *); // in good order
// Open the channels (taken), or wait for them at the doors; tell the parent,
// or systemd, that we are ready.
MUST_CHECK int cryptod_watch(struct cryptod *, struct process_channels *);
// Replace the inference key if that is due, and tell those who use it.
void cryptod_tick(struct cryptod *);
// Make key pairs ahead as soon as there is nothing else to do.
void cryptod_refill_later(struct cryptod *);

ipc_handler handle_stop;
ipc_handler handle_keys;
ipc_handler handle_sign;
ipc_handler handle_announce;
ipc_handler handle_seal;
ipc_handler handle_open;
ipc_handler handle_liveness;

#endif
