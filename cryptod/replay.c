// An open-addressing table of 64-bit tags, allocated once, at most half full.
// Peers choose what goes in, so the tags are a keyed hash: nobody outside can
// aim at one place of the table or at somebody else's tag.  It must never
// drop an entry.
#include "cryptod/replay.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

struct replay {
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	size_t n, max;
	size_t mask;	 // number of slots - 1
	uint64_t *slots; // owned; 0: empty
};

int
replay_new(struct replay **ret, size_t max_entries)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	assert(max_entries >= 8 && (max_entries & (max_entries - 1)) == 0);
	r->max = max_entries;
	r->mask = 2 * max_entries - 1;
	r->slots = calloc(2 * max_entries, sizeof(*r->slots));
	if (r->slots == NULL) {
		free(r);
		return -ENOMEM;
	}
	crypto_shorthash_keygen(r->hash_key);
	*ret = r;
	return 0;
}

void
replay_free(struct replay *r)
{
	if (r == NULL)
		return;
	sodium_memzero(r->hash_key, sizeof(r->hash_key));
	free(r->slots);
	free(r);
}

void
replay_clear(struct replay *r)
{
	// An untouched table stays untouched: it costs no memory.
	if (r->n != 0)
		memset(r->slots, 0, (r->mask + 1) * sizeof(*r->slots));
	r->n = 0;
	crypto_shorthash_keygen(r->hash_key);
}

static uint64_t
tag_of(
    const struct replay *r, const uint8_t request_key[static REQUEST_KEY_LEN])
{
	uint64_t tag;

	(void)crypto_shorthash(
	    (uint8_t *)&tag, request_key, REQUEST_KEY_LEN, r->hash_key);
	return tag == 0 ? 1 : tag;
}

// The slot of this tag, or the empty one where it belongs.  There is always
// an empty one: half of them are.
static uint64_t *
find_slot(const struct replay *r, uint64_t tag)
{
	size_t i = (size_t)tag & r->mask;

	while (r->slots[i] != 0 && r->slots[i] != tag)
		i = (i + 1) & r->mask;
	return &r->slots[i];
}

bool
replay_has(
    const struct replay *r, const uint8_t request_key[static REQUEST_KEY_LEN])
{
	return *find_slot(r, tag_of(r, request_key)) != 0;
}

bool
replay_is_full(const struct replay *r)
{
	return r->n >= r->max;
}

bool
replay_is_nearly_full(const struct replay *r)
{
	return r->n >= r->max - r->max / 8;
}

void
replay_add(struct replay *r, const uint8_t request_key[static REQUEST_KEY_LEN])
{
	uint64_t tag = tag_of(r, request_key);
	uint64_t *slot = find_slot(r, tag);

	assert(!replay_is_full(r) && *slot == 0);
	*slot = tag;
	r->n++;
}
