// The inference keys of this node: the current one, and the one before for as
// long as requests that were sealed to it may still arrive.
//
// Replaced when it is old, and when its replay memory is seven eighths full
// and the key has been known to others for a minute.  The key before lives
// for ten minutes, but never longer than its own replay memory has room, and
// never past the next replacement.  So at most REPLAY_ENTRIES_MAX requests
// are opened with one key, and each of them once.
#ifndef CRYPTOD_INFERENCE_H
#define CRYPTOD_INFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/liveness.h"
#include "common/secret.h"
#include "common/sizes.h"
#include "proto/ipc.pb-c.h"

struct inference;

enum {
	INFERENCE_KEYS_MAX = 2,
	INFERENCE_PREVIOUS_MS = 10 * 60 * 1000,
	INFERENCE_SETTLE_MS = 60 * 1000, // for others to learn a key
};

struct inference_config {
	struct secret_pool *pool; // borrowed
	uint64_t rotate_ms;
	size_t replay_entries; // of each key; a power of two
};

struct inference_candidate {
	const uint8_t *inference_key; // INFERENCE_KEY_LEN
	const uint8_t *request_key;   // REQUEST_KEY_LEN; secret
};

struct inference_opened {
	Ipc__Result result; // OK, BAD_KEY, REPLAYED, BUSY
	size_t n;	    // candidates, the current key's first; 0 unless OK
	struct inference_candidate candidates[INFERENCE_KEYS_MAX];
};

// All times are of one clock that counts on while the machine sleeps.
MUST_CHECK int inference_new(
    struct inference **ret, const struct inference_config *, uint64_t now_ms);
void inference_free(struct inference *);

// The current public key, INFERENCE_KEY_LEN.
const uint8_t *inference_key(const struct inference *);
// How long from now on the current key can be used to seal to us.
uint64_t inference_usable_ms(const struct inference *, uint64_t now_ms);
// Do what is due.  true: the current key is another one now.
bool inference_tick(struct inference *, uint64_t now_ms);
// How long from now on there is nothing to do.
uint64_t inference_idle_ms(const struct inference *, uint64_t now_ms);
// The request keys of an ephemeral key.  They stand until the next call, or
// until inference_wipe.
void inference_open(struct inference *,
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN], uint64_t now_ms,
    struct inference_opened *ret);
void inference_wipe(struct inference *);
// Show that the secret of this key of ours is here (common/liveness.h).
// -ENOKEY: it is not one that may still be used; -EINVAL: the ephemeral key
// is zero or of small order.
MUST_CHECK int inference_prove(struct inference *,
    const uint8_t public[static INFERENCE_KEY_LEN],
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN],
    const uint8_t hash[static LIVENESS_HASH_LEN], uint64_t now_ms,
    uint8_t ret[static LIVENESS_MAC_LEN]);

#endif
