// Facts under a keyed hash: models' names come from strangers, who can at most
// make one of our facts forgotten, which costs a question more.
#include "proxyd/learned.h"

#include <string.h>

void
learned_init(struct learned *l)
{
	memset(l, 0, sizeof(*l));
	crypto_shorthash_keygen(l->secret);
}

static uint64_t
key_of(const struct learned *l, const struct candidate *to, const char *model)
{
	uint8_t text[ENDPOINT_ID_LEN + sizeof(void *) + MODEL_NAME_MAX] = { 0 };
	uint8_t hash[crypto_shorthash_BYTES];
	size_t n = strnlen(model, MODEL_NAME_MAX);
	uint64_t key;

	if (to->source == SOURCE_LOCAL)
		memcpy(text, &to->backend, sizeof(to->backend));
	else
		memcpy(text + sizeof(void *), to->peer_id, ENDPOINT_ID_LEN);
	memcpy(text + sizeof(void *) + ENDPOINT_ID_LEN, model, n);
	(void)crypto_shorthash(
	    hash, text, sizeof(void *) + ENDPOINT_ID_LEN + n, l->secret);
	memcpy(&key, hash, sizeof(key));
	return key;
}

void
learned_no_responses(struct learned *l, const struct candidate *to,
    const char *model, uint64_t now_ms)
{
	uint64_t key = key_of(l, to, model);

	l->at[key % LEARNED_MAX] =
	    (struct learned_fact){ key, now_ms + LEARNED_MS };
}

bool
learned_has_no_responses(const struct learned *l, const struct candidate *to,
    const char *model, uint64_t now_ms)
{
	uint64_t key = key_of(l, to, model);
	const struct learned_fact *fact = &l->at[key % LEARNED_MAX];

	return fact->key == key && now_ms < fact->until_ms;
}
