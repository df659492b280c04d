// The nodes that gossipd tells us of, and which of their keys are proven.
//
// gossipd is not trusted (promise P5): the key of a peer is proven only by an
// announcement that the peer's identity signed, and what was proven is kept
// until it expires, even when gossipd says that the peer is gone or has no
// key: otherwise an old announcement could be brought back, or a key be taken
// away to get at the plaintext.
#ifndef PROXYD_PEERS_H
#define PROXYD_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/announcement.h"
#include "common/cleanup.h"
#include "common/sizes.h"
#include "proto/ipc.pb-c.h"
#include "proxyd/breaker.h"
#include "proxyd/load.h"
#include "proxyd/recent.h"

enum {
	PEERS_MAX = 4096,
	PEER_TEXT_MAX = 64,		 // of a version or an address
	PEER_VERDICT_MAX_MS = 60 * 1000, // the verifier gives less
	PEER_REASON_MAX = 257, // as attestd/client.h has it, and a NUL
	PEER_BINDING_LEN = 32, // RFC 9266
};

enum peer_key {
	PEER_KEY_NONE,
	PEER_KEY_UNSIGNED, // announced by the node itself, not signed
	PEER_KEY_PROVEN,
};

struct peer_model {
	char name[MODEL_NAME_MAX + 1];
	uint32_t context_length; // 0: not told
	struct load_heard load;
};

// What the verifier said about one key; the expiry is looked at when used.
struct peer_verdict {
	bool is_known;
	uint8_t inference_key[INFERENCE_KEY_LEN];
	bool has_binding;
	uint8_t binding[PEER_BINDING_LEN]; // of the connection it is about
	Ipc__Level level;
	uint64_t expires_ms; // Unix
	uint64_t made_ms;    // Unix: when the evidence was made; 0: none counts
	char reason[PEER_REASON_MAX];
};

// How the host did when it was asked for evidence v2 last.
struct peer_session {
	bool is_known;
	bool is_judged; // false: no evidence came, see reason
	uint8_t inference_key[INFERENCE_KEY_LEN];
	uint8_t binding[PEER_BINDING_LEN];
	Ipc__Level level;
	unsigned n_failed; // times in a row
	uint64_t asked_ms; // monotonic
	char reason[PEER_REASON_MAX];
};

struct peer {
	uint8_t id[ENDPOINT_ID_LEN];
	bool is_present; // else only what was proven is remembered
	Ipc__PeerRole role;
	Ipc__Dialect dialect;
	bool connected;
	bool direct;
	char version[PEER_TEXT_MAX];
	char address[PEER_TEXT_MAX];
	uint32_t rtt_us;
	uint64_t last_seen_ms;
	uint32_t posture;
	Ipc__Owner owner;
	uint8_t owner_id[OWNER_ID_LEN]; // EXPIRED and VERIFIED only
	bool has_proven;
	struct announcement proven;
	bool has_unsigned;
	uint8_t unsigned_key[INFERENCE_KEY_LEN];
	struct peer_model *models; // owned, sorted by name
	size_t n_models;
	uint8_t *evidence; // owned; NULL: none
	size_t evidence_len;
	bool has_binding;
	uint8_t binding[PEER_BINDING_LEN]; // of its connection now
	struct peer_verdict verdict;
	bool verdict_asked; // the answer is on its way
	struct peer_session session;
	unsigned in_flight; // our requests there now
	bool shows_life;    // while it works on a request; see silence.h
	struct breaker breaker;
};

// The update that is being received, until its last part.
struct peer_staging {
	struct peer *peer; // owned; NULL: none
	size_t n_expected;
};

struct peers {
	struct peer **at; // owned, sorted by id
	size_t n;
	size_t size;
	struct peer_staging staging;
	unsigned turn;	      // for an even spread
	struct recent recent; // models that a host lost
};

void peers_init(struct peers *);
void peers_done(struct peers *);
// NULL: not known.
struct peer *peers_find(const struct peers *, const uint8_t *id);

// Begin an update.  -EBADMSG: lengths or enums are wrong.  *ret_why: NULL, or
// why the announcement in it was refused (the rest is taken).
MUST_CHECK int peers_update_begin(struct peers *, const Ipc__PeerUpdate *,
    uint64_t now_ms, const char **ret_why);
// A part of its models; with the last part it takes effect and *ret is the
// peer (else NULL).  -EBADMSG: does not belong to the update.  -ENOSPC: the
// table is full, the update was dropped.
MUST_CHECK int peers_update_models(
    struct peers *, const Ipc__PeerModels *, struct peer **ret);
void peers_remove(struct peers *, const uint8_t *id, uint64_t now_ms);

// The key to seal to now, and how sure it is.
enum peer_key peer_key_now(
    const struct peer *, uint64_t now_ms, const uint8_t **ret_key);
bool peer_has_model(const struct peer *, const char *model);
// What it said last of its load with the model; NULL: it has no such model.
const struct load_heard *peer_load(const struct peer *, const char *model);
void peer_hear_load(
    struct peer *, const char *model, const struct load *, uint64_t now_ms);
// 0: not told.
uint32_t peer_context_length(const struct peer *, const char *model);
// The verdict on this key and this connection if it counts now, or NULL.
const struct peer_verdict *peer_verdict_now(
    const struct peer *, const uint8_t *key, uint64_t now_ms);
// LEVEL_NONE unless that verdict says otherwise.
Ipc__Level peer_level_now(
    const struct peer *, const uint8_t *key, uint64_t now_ms);

#endif
