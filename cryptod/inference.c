// Inference keys, their replacement, and what may be opened with them.  The
// ephemeral keys come from anybody.  A request key is given out once; that
// holds for every other way of writing the same ephemeral key as well, see
// replay.h.  Secret keys must never leave their slot.
#include "cryptod/inference.h"

#include <sodium.h>
#include <string.h>

#include "cryptod/derive.h"
#include "cryptod/replay.h"

struct key {
	bool is_alive;
	uint8_t *secret; // slot
	uint8_t public[INFERENCE_KEY_LEN];
	struct replay *seen; // owned
	uint64_t since_ms;   // current, or previous, since then
};

struct inference {
	struct inference_config config;
	struct key keys[INFERENCE_KEYS_MAX];
	size_t current;	  // index; the other one is the previous
	uint8_t *scratch; // slot: a shared secret
	uint8_t *request_keys[INFERENCE_KEYS_MAX]; // slots
};

static struct key *
current_key(struct inference *inf)
{
	return &inf->keys[inf->current];
}

static struct key *
previous_key(struct inference *inf)
{
	return &inf->keys[1 - inf->current];
}

static void
key_start(struct key *key, uint64_t now_ms)
{
	derive_key_pair(key->secret, key->public);
	replay_clear(key->seen);
	key->is_alive = true;
	key->since_ms = now_ms;
}

static void
key_retire(struct key *key)
{
	sodium_memzero(key->secret, SECRET_SLOT_LEN);
	key->is_alive = false;
}

static int
take_memory(struct inference *inf)
{
	struct secret_pool *pool = inf->config.pool;
	int r;

	if ((inf->scratch = secret_take(pool)) == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < INFERENCE_KEYS_MAX; i++) {
		inf->keys[i].secret = secret_take(pool);
		inf->request_keys[i] = secret_take(pool);
		if (inf->keys[i].secret == NULL || inf->request_keys[i] == NULL)
			return -ENOMEM;
		r = replay_new(&inf->keys[i].seen, inf->config.replay_entries);
		if (r < 0)
			return r;
	}
	return 0;
}

int
inference_new(struct inference **ret, const struct inference_config *config,
    uint64_t now_ms)
{
	struct inference *inf = calloc(1, sizeof(*inf));
	int r;

	if (inf == NULL)
		return -ENOMEM;
	inf->config = *config;
	if ((r = take_memory(inf)) < 0) {
		inference_free(inf);
		return r;
	}
	key_start(current_key(inf), now_ms);
	*ret = inf;
	return 0;
}

void
inference_free(struct inference *inf)
{
	if (inf == NULL)
		return;
	for (size_t i = 0; i < INFERENCE_KEYS_MAX; i++) {
		secret_release(inf->config.pool, inf->keys[i].secret);
		secret_release(inf->config.pool, inf->request_keys[i]);
		replay_free(inf->keys[i].seen);
	}
	secret_release(inf->config.pool, inf->scratch);
	free(inf);
}

const uint8_t *
inference_key(const struct inference *inf)
{
	return inf->keys[inf->current].public;
}

// What is left of `span` at now, when it began at since.
static uint64_t
left_of(uint64_t span, uint64_t since_ms, uint64_t now_ms)
{
	uint64_t age = now_ms - since_ms;

	return age >= span ? 0 : span - age;
}

static uint64_t
until_rotation(const struct inference *inf, uint64_t now_ms)
{
	const struct key *key = &inf->keys[inf->current];
	uint64_t span = inf->config.rotate_ms;

	if (replay_is_nearly_full(key->seen) && span > INFERENCE_SETTLE_MS)
		span = INFERENCE_SETTLE_MS;
	return left_of(span, key->since_ms, now_ms);
}

uint64_t
inference_usable_ms(const struct inference *inf, uint64_t now_ms)
{
	const struct key *key = &inf->keys[inf->current];
	uint64_t after = INFERENCE_PREVIOUS_MS;

	if (after > inf->config.rotate_ms)
		after = inf->config.rotate_ms;
	return left_of(inf->config.rotate_ms, key->since_ms, now_ms) + after;
}

bool
inference_tick(struct inference *inf, uint64_t now_ms)
{
	struct key *previous = previous_key(inf);

	if (previous->is_alive &&
	    left_of(INFERENCE_PREVIOUS_MS, previous->since_ms, now_ms) == 0)
		key_retire(previous);
	if (until_rotation(inf, now_ms) != 0)
		return false;
	current_key(inf)->since_ms = now_ms;
	inf->current = 1 - inf->current;
	key_start(current_key(inf), now_ms);
	return true;
}

uint64_t
inference_idle_ms(const struct inference *inf, uint64_t now_ms)
{
	const struct key *previous = &inf->keys[1 - inf->current];
	uint64_t rotation = until_rotation(inf, now_ms), retirement;

	if (!previous->is_alive)
		return rotation;
	retirement = left_of(INFERENCE_PREVIOUS_MS, previous->since_ms, now_ms);
	return rotation < retirement ? rotation : retirement;
}

static int
derive_candidates(struct inference *inf,
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN])
{
	for (size_t i = 0; i < INFERENCE_KEYS_MAX; i++) {
		if (inf->keys[i].is_alive &&
		    derive_request_key(inf->keys[i].secret, ephemeral_key,
			inf->scratch, inf->request_keys[i]) < 0)
			return -EINVAL;
	}
	return 0;
}

static bool
was_seen(const struct inference *inf)
{
	for (size_t i = 0; i < INFERENCE_KEYS_MAX; i++)
		if (inf->keys[i].is_alive &&
		    replay_has(inf->keys[i].seen, inf->request_keys[i]))
			return true;
	return false;
}

static Ipc__Result
check_candidates(struct inference *inf,
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN])
{
	struct key *previous = previous_key(inf);

	if (derive_candidates(inf, ephemeral_key) < 0)
		return IPC__RESULT__RESULT_BAD_KEY;
	if (was_seen(inf))
		return IPC__RESULT__RESULT_REPLAYED;
	if (replay_is_full(current_key(inf)->seen))
		return IPC__RESULT__RESULT_BUSY;
	// No room for another request: no request may come to it any more.
	if (previous->is_alive && replay_is_full(previous->seen))
		key_retire(previous);
	return IPC__RESULT__RESULT_OK;
}

static void
add_candidate(struct inference *inf, size_t i, struct inference_opened *opened)
{
	if (!inf->keys[i].is_alive)
		return;
	replay_add(inf->keys[i].seen, inf->request_keys[i]);
	opened->candidates[opened->n++] =
	    (struct inference_candidate){ inf->keys[i].public,
		    inf->request_keys[i] };
}

// The timer may be late; a key that is too old is not used.
static void
retire_if_old(struct inference *inf, uint64_t now_ms)
{
	struct key *previous = previous_key(inf);

	if (previous->is_alive &&
	    left_of(INFERENCE_PREVIOUS_MS, previous->since_ms, now_ms) == 0)
		key_retire(previous);
}

void
inference_open(struct inference *inf,
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN], uint64_t now_ms,
    struct inference_opened *ret)
{
	struct inference_opened opened = { 0 };

	retire_if_old(inf, now_ms);
	opened.result = check_candidates(inf, ephemeral_key);
	if (opened.result == IPC__RESULT__RESULT_OK) {
		add_candidate(inf, inf->current, &opened);
		add_candidate(inf, 1 - inf->current, &opened);
	} else {
		inference_wipe(inf);
	}
	*ret = opened;
}

static struct key *
find_key(struct inference *inf, const uint8_t *public)
{
	for (size_t i = 0; i < INFERENCE_KEYS_MAX; i++)
		if (inf->keys[i].is_alive &&
		    memcmp(inf->keys[i].public, public, INFERENCE_KEY_LEN) == 0)
			return &inf->keys[i];
	return NULL;
}

int
inference_prove(struct inference *inf,
    const uint8_t public[static INFERENCE_KEY_LEN],
    const uint8_t ephemeral_key[static INFERENCE_KEY_LEN],
    const uint8_t hash[static LIVENESS_HASH_LEN], uint64_t now_ms,
    uint8_t ret[static LIVENESS_MAC_LEN])
{
	struct key *key;
	int r;

	retire_if_old(inf, now_ms);
	if ((key = find_key(inf, public)) == NULL)
		return -ENOKEY;
	r = derive_shared(key->secret, ephemeral_key, inf->scratch);
	if (r == 0)
		liveness_mac(inf->scratch, ephemeral_key, key->public, hash,
		    inf->request_keys[0], ret);
	sodium_memzero(inf->scratch, SECRET_SLOT_LEN);
	return r;
}

void
inference_wipe(struct inference *inf)
{
	for (size_t i = 0; i < INFERENCE_KEYS_MAX; i++)
		sodium_memzero(inf->request_keys[i], SECRET_SLOT_LEN);
}
