// Key pairs that are used once.  The recipient's key comes from anybody.  A
// pair leaves the store before it is used and is wiped after it, whatever the
// outcome: no two requests may ever share one.
#include "cryptod/ephemeral.h"

#include <sodium.h>
#include <string.h>

#include "cryptod/derive.h"

struct pair {
	uint8_t *secret; // slot
	uint8_t public[INFERENCE_KEY_LEN];
};

struct ephemeral {
	struct secret_pool *pool; // borrowed
	size_t n_ready;
	struct pair pairs[EPHEMERAL_READY_MAX]; // the first n_ready are ready
	uint8_t *scratch;			// slot: a shared secret
	uint8_t *request_key;			// slot
};

int
ephemeral_new(struct ephemeral **ret, struct secret_pool *pool)
{
	struct ephemeral *e = calloc(1, sizeof(*e));
	bool complete;

	if (e == NULL)
		return -ENOMEM;
	e->pool = pool;
	e->scratch = secret_take(pool);
	e->request_key = secret_take(pool);
	complete = e->scratch != NULL && e->request_key != NULL;
	for (size_t i = 0; i < EPHEMERAL_READY_MAX; i++) {
		e->pairs[i].secret = secret_take(pool);
		complete = complete && e->pairs[i].secret != NULL;
	}
	if (!complete) {
		ephemeral_free(e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}

void
ephemeral_free(struct ephemeral *e)
{
	if (e == NULL)
		return;
	for (size_t i = 0; i < EPHEMERAL_READY_MAX; i++)
		secret_release(e->pool, e->pairs[i].secret);
	secret_release(e->pool, e->scratch);
	secret_release(e->pool, e->request_key);
	free(e);
}

bool
ephemeral_refill(struct ephemeral *e)
{
	struct pair *pair;

	if (e->n_ready == EPHEMERAL_READY_MAX)
		return false;
	pair = &e->pairs[e->n_ready++];
	derive_key_pair(pair->secret, pair->public);
	return e->n_ready < EPHEMERAL_READY_MAX;
}

int
ephemeral_seal(struct ephemeral *e,
    const uint8_t recipient_key[static INFERENCE_KEY_LEN],
    struct ephemeral_sealed *ret)
{
	struct pair *pair;
	int r;

	if (e->n_ready == 0)
		(void)ephemeral_refill(e);
	pair = &e->pairs[--e->n_ready];
	r = derive_request_key(
	    pair->secret, recipient_key, e->scratch, e->request_key);
	sodium_memzero(pair->secret, SECRET_SLOT_LEN);
	if (r < 0)
		return r;
	memcpy(ret->ephemeral_key, pair->public, INFERENCE_KEY_LEN);
	ret->request_key = e->request_key;
	return 0;
}

void
ephemeral_wipe(struct ephemeral *e)
{
	sodium_memzero(e->request_key, SECRET_SLOT_LEN);
}
