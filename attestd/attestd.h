// State of attestd, and what its files share.  One program, two processes
// with different rights: the signer holds the attestation key and reads
// nothing of peers, the verifier reads evidence and holds no key.
#ifndef ATTESTD_ATTESTD_H
#define ATTESTD_ATTESTD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attestd/answers.h"
#include "attestd/attester.h"
#include "attestd/blob_cache.h"
#include "attestd/blob_make.h"
#include "attestd/held.h"
#include "attestd/machine.h"
#include "attestd/session.h"
#include "attestd/trust.h"
#include "common/ipc.h"
#include "common/landlock.h"
#include "common/measure.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/service.h"
#include "cryptod/client.h"

enum {
	ATTESTD_KEYS_DEADLINE_MS = 10 * 1000,
	ATTESTD_REFRESH_MS = 300 * 1000, // new evidence this often
	ATTESTD_RETRY_MS = 15 * 1000,	 // after a failure
	ATTESTD_STALE_MS = 660 * 1000,	 // nobody believes it then
	ATTESTD_WATCH_FD = 30,		 // the sandbox names it
};

// What one of the two processes may do.
struct attestd_role {
	const char *option; // of --role
	const char *name;   // in the log
	enum ipc_role self;
	const struct ipc_rule *rules;
	size_t n_rules;
	const struct sandbox_rule *sandbox;
	size_t n_sandbox;
	// The roles of the descriptors from PROCESS_FIRST_CHANNEL_FD on.
	enum ipc_role channels[PROCESS_CHANNELS_MAX];
	size_t n_channels;
	const struct service_door *doors; // the same, where systemd starts us
};

struct attestd {
	const struct attestd_role *role;  // static
	struct event_base *base;	  // borrowed
	struct ipc_peer *peers[ROLE_MAX]; // owned; NULL: gone
	struct cryptod_keys keys;	  // signer: what it would vouch for
	bool has_keys;
	bool is_ready;
	struct service *service; // borrowed; NULL: there is a parent
	bool is_stopped;	 // in good order
	struct measure measure;
	// signer
	struct attester *attester; // owned
	struct machine machine;
	char blob[BLOB_MADE_MAX];
	size_t blob_len;       // 0: none
	uint64_t blob_made_ms; // Unix
	struct event *refresh; // owned
	bool is_failing;       // and has said so
	bool is_state_told;    // to the parent, once
	const char *state;     // of the attester, as it was told; or NULL
	char problem[MEASURED_PROBLEM_MAX];
	struct answers *answers; // owned; of evidence v2
	// verifier
	struct trust_store trust;
	struct event *trust_event;     // owned; its folder changed
	struct blob_cache *blob_cache; // owned
	struct held_table held;	       // evidence v2 of other nodes
	struct sessions *sessions;     // owned; with hosts that are asked
};

enum {
	ATTESTD_N_SIGNER_RULES = 9,
	ATTESTD_N_VERIFIER_RULES = 6,
	ATTESTD_N_SIGNER_SANDBOX = 24,
	ATTESTD_N_VERIFIER_SANDBOX = 26,
};

extern const struct ipc_rule attestd_signer_rules[ATTESTD_N_SIGNER_RULES];
extern const struct ipc_rule attestd_verifier_rules[ATTESTD_N_VERIFIER_RULES];
extern const struct sandbox_rule
    attestd_signer_sandbox[ATTESTD_N_SIGNER_SANDBOX];
extern const struct sandbox_rule
    attestd_verifier_sandbox[ATTESTD_N_VERIFIER_SANDBOX];

// NULL: there is no such role.
const struct attestd_role *attestd_find_role(const char *option);
void attestd_init(
    struct attestd *, const struct attestd_role *, struct event_base *);
void attestd_done(struct attestd *);
void attestd_stop(struct attestd *); // in good order
// Open the channels (taken), or wait for them at the doors.  The verifier is
// ready at once; the signer as soon as cryptod has told a parent's child the
// keys: systemd starts it alone.
MUST_CHECK int attestd_watch(struct attestd *, struct process_channels *);
// Signer: ask cryptod for the keys.
MUST_CHECK int attestd_ask_keys(struct attestd *);
// Without a parent: what proxyd shows of it, and of the attester.
MUST_CHECK int attestd_tell_measured(struct attestd *, enum ipc_role to);

// ---- signer.c
// The attester and what it says of this machine; before the sandbox.
MUST_CHECK int signer_init(struct attestd *, const struct attester_config *);
void signer_done(struct attestd *);
// Make evidence anew, now: the keys are new.
void signer_renew(struct attestd *);
// The clock may have been set: then what was made is from the future, or old.
void signer_look_at_clock(struct attestd *, uint64_t now_ms);
// How the attester did; said when that changes.
void signer_report(struct attestd *, int r);
// cryptod is gone, and its inference key with it: vouch for nothing.
void signer_forget(struct attestd *);

// ---- trust_watch.c, verifier
// Before the sandbox, after trust_store_init.
MUST_CHECK int trust_watch_init(struct attestd *, const char *dir);
void trust_watch_done(struct attestd *);
// Read the trust files if they are others now, and take back the verdicts.
void trust_look(struct attestd *);

// ---- handle_verdict.c, verifier
// What proxyd asks about; evidence: field 38, or NULL.  The question points
// into it.  -EPROTO when a length is not lawful.
MUST_CHECK int verdict_question(const struct attestd *,
    const ProtobufCBinaryData *node, const ProtobufCBinaryData *key,
    const ProtobufCBinaryData *evidence, struct level_question *ret);
void verdict_judge(
    struct attestd *, const struct level_question *, struct verdict *ret);

ipc_handler handle_stop;
ipc_handler handle_key_changed;
ipc_handler handle_evidence;
ipc_handler handle_verdict;
ipc_handler handle_evidence_copy;

#endif
